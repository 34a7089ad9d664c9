//! Ingresses: the class is there, and so is every Service and port that it leads to.
//!
//! Whether a controller has taken one up cannot be read from it: only some write an address. `kubectl describe ingress`
//! names backends that are missing, too.

use serde_json::Value;

use super::object::{list, text};
use super::patience::{NO_BACKEND, NO_CLASS};
use super::{Health, Object, Surroundings};

pub(super) fn assess(ingress: Object<'_>, around: &Surroundings<'_>) -> Health {
    let class = ingress.text("/spec/ingressClassName");
    if !class.is_empty() && around.lacks("IngressClass", class) {
        return Health::stuck(format!("Ingress {}: there is no IngressClass {class}", ingress.name()), NO_CLASS);
    }
    let lost = backends(ingress).find_map(|(path, backend)| Some((path, lost(backend, around)?)));
    match lost {
        Some((path, lost)) => {
            Health::stuck(format!("Ingress {}: {path} leads nowhere: {lost}", ingress.name()), NO_BACKEND)
        }
        None if class.is_empty() && !has_default(ingress, around) => {
            Health::ready("the Services it leads to are there; it names no class, and none is the default")
        }
        None => Health::ready("the Services it leads to are there"),
    }
}

/// Whether some controller may take it for its own though it names no class: by the default one, or as was done of old.
fn has_default(ingress: Object<'_>, around: &Surroundings<'_>) -> bool {
    const DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";
    let mut classes = around.all("IngressClass").iter();
    ingress.annotation("kubernetes.io/ingress.class").is_some()
        || classes.any(|class| class.annotation(DEFAULT) == Some("true"))
}

/// Where from and where to, of those that lead to Services.
fn backends(ingress: Object<'_>) -> impl Iterator<Item = (String, &Value)> {
    let default = ingress.data.pointer("/spec/defaultBackend/service").map(|to| ("its default".to_owned(), to));
    let paths = ingress.list("/spec/rules").iter().flat_map(|rule| {
        let from = move |path: &Value| format!("{}{}", text(rule, "/host"), text(path, "/path"));
        list(rule, "/http/paths").iter().filter_map(move |path| Some((from(path), path.pointer("/backend/service")?)))
    });
    default.into_iter().chain(paths)
}

/// What is missing of a backend.
fn lost(backend: &Value, around: &Surroundings<'_>) -> Option<String> {
    let name = text(backend, "/name");
    if around.lacks("Service", name) {
        return Some(format!("there is no Service {name}"));
    }
    let service = around.named("Service", name).filter(|service| service.text("/spec/type") != "ExternalName")?;
    let (number, called) = (backend.pointer("/port/number"), text(backend, "/port/name"));
    let is_meant = |port: &Value| match number {
        Some(number) => port.pointer("/port") == Some(number),
        None => text(port, "/name") == called,
    };
    let wanted = number.map_or_else(|| format!("named {called:?}"), Value::to_string);
    (!service.list("/spec/ports").iter().any(is_meant)).then(|| format!("Service {name} has no port {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::super::literal::{ready, stuck};
    use super::super::patience::{NO_BACKEND, NO_CLASS};

    const SERVICE: &str =
        "\n---\napiVersion: v1\nkind: Service\nmetadata: { name: web }\nspec: { ports: [{ name: http, port: 80 }] }";
    const SAW: &str = "the Services it leads to are there; it names no class, and none is the default";
    const CLASS: &str = "\n---\napiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: { name: nginx }";

    fn ingress(spec: &str) -> String {
        format!("apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{ name: web }}\nspec: {{ {spec} }}")
    }

    fn to(service: &str) -> String {
        ingress(&format!(
            "rules: [{{ host: a.example, http: {{ paths: [{{ path: /x, backend: {{ service: {{ {service} }} }} }}] }} }}]"
        ))
    }

    #[test]
    fn an_ingress_needs_the_class_that_it_names() {
        let classed = ingress("ingressClassName: nginx");
        stuck(&classed, "Ingress web: there is no IngressClass nginx", NO_CLASS);
        ready(&(classed + CLASS), "the Services it leads to are there");
        let default = CLASS.replace(
            "name: nginx",
            "name: nginx, annotations: { ingressclass.kubernetes.io/is-default-class: 'true' }",
        );
        ready(&(ingress("rules: []") + &default), "the Services it leads to are there");
        ready(&ingress("rules: []"), SAW);
    }

    #[test]
    fn an_ingress_needs_every_service_and_port_that_it_leads_to() {
        ready(&(to("name: web, port: { number: 80 }") + SERVICE), SAW);
        ready(&(to("name: web, port: { name: http }") + SERVICE), SAW);
        let line = |lost: &str| format!("Ingress web: a.example/x leads nowhere: {lost}");
        stuck(&(to("name: api, port: { number: 80 }") + SERVICE), &line("there is no Service api"), NO_BACKEND);
        stuck(&(to("name: web, port: { number: 81 }") + SERVICE), &line("Service web has no port 81"), NO_BACKEND);
        stuck(
            &(to("name: web, port: { name: https }") + SERVICE),
            &line("Service web has no port named \"https\""),
            NO_BACKEND,
        );
        let default = ingress("defaultBackend: { service: { name: api, port: { number: 80 } } }");
        stuck(&default, "Ingress web: its default leads nowhere: there is no Service api", NO_BACKEND);
        let elsewhere = "\n---\napiVersion: v1\nkind: Service\nmetadata: { name: web }\nspec: { type: ExternalName }";
        ready(&(to("name: web, port: { number: 80 }") + elsewhere), SAW);
    }
}
