//! Whole objects through the room.

use serde_json::{Value, json};

use super::*;

/// An object as the server would keep it.
fn kept(version: &str, kind: &str, mut object: Value) -> Value {
    let schema = builtin(version, kind).expect("a kind of Kubernetes");
    assert_eq!(prune(&schema, &mut object), Vec::<String>::new());
    default(&schema, &mut object);
    object
}

/// The messages of what is wrong.
fn said(errors: &[FieldError]) -> Vec<String> {
    errors.iter().map(FieldError::to_string).collect()
}

/// A small deployment.
fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "default" },
        "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "web", "image": "busybox:1.35", "ports": [{ "containerPort": 80 }] }] },
            },
        },
    })
}

#[test]
fn every_line_of_the_table_is_read_and_every_name_in_it_is_a_type() {
    let table = include_str!("builtin.txt");
    let (mut fields, mut open) = (0, "");
    for line in table.lines().filter(|line| !line.starts_with(['#', '@'])) {
        let Some(field) = line.strip_prefix(' ') else {
            open = line.trim_end_matches(" atomic");
            continue;
        };
        let name = field.split([' ', '!']).next().unwrap();
        let child = builtin::named(open).child(name).unwrap_or_else(|| panic!("{open}.{name} was not read"));
        let kind = field.split(' ').nth(1).unwrap().trim_matches(['[', ']', '{', '}']);
        let plain = !kind.contains('.');
        assert!(plain || builtin::named(kind).is_builtin(), "{open}.{name} is a {kind}, which is no type");
        assert!(child.kind != Type::Any || kind == "any", "{open}.{name}");
        fields += 1;
    }
    assert!(fields > 1500, "{fields}");
    for line in table.lines().filter_map(|line| line.strip_prefix("@ ")) {
        let (version, rest) = line.split_once(' ').unwrap();
        let kind = rest.split(' ').next().unwrap();
        assert!(builtin(version, kind).is_some_and(|schema| schema.child("apiVersion").is_some()), "{line}");
    }
}

#[test]
fn a_deployment_has_the_defaults_of_kubernetes() {
    let object = kept("apps/v1", "Deployment", deployment());
    let spec = &object["spec"];
    assert_eq!(spec["replicas"], 1);
    assert_eq!(spec["strategy"]["rollingUpdate"], json!({ "maxUnavailable": "25%", "maxSurge": "25%" }));
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["restartPolicy"], "Always");
    assert_eq!(pod["containers"][0]["imagePullPolicy"], "IfNotPresent");
    assert_eq!(pod["containers"][0]["ports"][0]["protocol"], "TCP");
    assert_eq!(pod["containers"][0]["resources"], json!({}));
    assert_eq!(admit("apps/v1", "Deployment", None, &object), []);
}

#[test]
fn what_is_not_known_is_dropped_and_named() {
    let mut object = deployment();
    object["spec"]["foo"] = 1.into();
    object["spec"]["template"]["spec"]["containers"][0]["bar"] = 1.into();
    let schema = builtin("apps/v1", "Deployment").unwrap();
    let dropped = prune(&schema, &mut object);
    assert_eq!(dropped, ["spec.template.spec.containers[0].bar", "spec.foo"]);
    assert_eq!(object, deployment());
}

#[test]
fn a_wrong_type_is_said_in_the_words_of_go() {
    let schema = builtin("apps/v1", "Deployment").unwrap();
    let wrong = |pointer: &str, value: Value| {
        let mut object = deployment();
        *object.pointer_mut(pointer).unwrap() = value;
        decode_error(&schema, &object).unwrap()
    };
    let mut object = deployment();
    object["spec"]["replicas"] = "three".into();
    assert_eq!(
        decode_error(&schema, &object).unwrap(),
        "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
    );
    assert_eq!(
        wrong("/spec/template/spec/containers/0/ports", "x".into()),
        "json: cannot unmarshal string into Go struct field Container.spec.template.spec.containers.ports of type \
         []v1.ContainerPort"
    );
    assert_eq!(
        wrong("/spec/template/metadata/labels/app", 1.into()),
        "json: cannot unmarshal number into Go struct field ObjectMeta.spec.template.metadata.labels of type string"
    );
    assert_eq!(decode_error(&schema, &deployment()), None);
}

#[test]
fn a_selector_must_select_what_the_template_makes_and_may_not_change() {
    let old = kept("apps/v1", "Deployment", deployment());
    let mut new = old.clone();
    new["spec"]["selector"]["matchLabels"]["app"] = "other".into();
    assert_eq!(
        said(&admit("apps/v1", "Deployment", Some(&old), &new)),
        [
            "spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`",
            "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"other\"}}: field is immutable",
        ]
    );
}

#[test]
fn a_pod_has_a_class_of_service_that_follows_from_what_it_asks_for() {
    let class = |resources: Value| {
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "a", "namespace": "b" },
            "spec": { "containers": [{ "name": "c", "image": "i", "resources": resources }] },
        });
        default(&builtin("v1", "Pod").unwrap(), &mut pod);
        prepare("v1", "Pod", None, &mut pod);
        pod["status"]["qosClass"].clone()
    };
    assert_eq!(class(json!({})), "BestEffort");
    assert_eq!(class(json!({ "requests": { "cpu": "1" } })), "Burstable");
    assert_eq!(class(json!({ "limits": { "cpu": "1", "memory": "1Gi" } })), "Guaranteed");
}

#[test]
fn the_metadata_of_a_custom_resource_is_decoded_as_that_of_any() {
    let schemas = of_definition(&definition(&json!({ "type": "object" }))).unwrap();
    let object = json!({ "metadata": { "name": "a", "labels": { "a": 1 } }, "spec": 1 });
    assert_eq!(
        decode_error(&schemas["v1"], &object).unwrap(),
        "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"
    );
    assert_eq!(
        said(&validate(&schemas["v1"], &object)),
        ["spec: Invalid value: \"integer\": spec in body must be of type object: \"integer\""]
    );
}

/// A definition with this schema for its `spec`.
fn definition(spec: &Value) -> Value {
    json!({ "spec": { "versions": [{ "name": "v1", "schema": { "openAPIV3Schema": {
        "type": "object", "properties": { "spec": spec },
    } } }] } })
}

/// What is wrong with a custom resource with this `spec`.
fn wrong(schema: &Value, spec: &Value) -> Vec<String> {
    let schemas = of_definition(&definition(schema)).unwrap();
    said(&validate(&schemas["v1"], &json!({ "apiVersion": "a.b/v1", "kind": "A", "metadata": {}, "spec": spec })))
}

#[test]
fn a_custom_resource_is_held_to_its_schema() {
    let schema = json!({
        "type": "object", "required": ["name"],
        "properties": {
            "name": { "type": "string", "minLength": 1, "pattern": "^[a-z]*$" },
            "replicas": { "type": "integer", "minimum": 0, "maximum": 5 },
            "mode": { "type": "string", "enum": ["a", "b"] },
            "port": { "x-kubernetes-int-or-string": true, "anyOf": [{ "type": "integer" }, { "type": "string" }] },
            "tags": { "type": "array", "items": { "type": "string" }, "x-kubernetes-list-type": "set" },
        },
    });
    assert_eq!(wrong(&schema, &json!({ "name": "x", "replicas": 3, "mode": "a", "port": "http" })), [""; 0]);
    assert_eq!(wrong(&schema, &json!({})), ["spec.name: Required value"]);
    let all = json!({ "name": "X", "replicas": "three", "mode": "c", "port": true, "tags": ["a", "a"] });
    assert_eq!(
        wrong(&schema, &all),
        [
            "spec.name: Invalid value: \"X\": spec.name in body should match '^[a-z]*$'",
            "spec.replicas: Invalid value: \"string\": spec.replicas in body must be of type integer: \"string\"",
            "spec.mode: Unsupported value: \"c\": supported values: \"a\", \"b\"",
            "spec.port: Invalid value: \"boolean\": spec.port in body must be of type integer,string: \"boolean\"",
            "spec.tags[1]: Duplicate value: \"a\"",
        ]
    );
}

#[test]
fn a_schema_that_is_not_structural_is_refused() {
    let errors = of_definition(&definition(&json!({ "properties": { "x": { "type": "array" } } }))).unwrap_err();
    assert_eq!(
        said(&errors),
        [
            "spec.validation.openAPIV3Schema.properties[spec].properties[x].items: Required value: must be specified",
            "spec.validation.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields",
        ]
    );
}

#[test]
fn a_custom_resource_has_the_defaults_of_its_schema_and_loses_what_that_does_not_know() {
    let spec =
        json!({ "type": "object", "default": {}, "properties": { "replicas": { "type": "integer", "default": 2 } } });
    let schemas = of_definition(&definition(&spec)).unwrap();
    let mut object = json!({ "apiVersion": "a.b/v1", "kind": "A", "metadata": { "name": "a" }, "more": 1 });
    assert_eq!(prune(&schemas["v1"], &mut object), ["more"]);
    default(&schemas["v1"], &mut object);
    assert_eq!(object["spec"], json!({ "replicas": 2 }));
}

#[test]
fn several_errors_stand_in_brackets_and_each_once() {
    let one = FieldError::required("spec.a", "");
    let two = FieldError::invalid("spec.b", 1.into(), "must not be");
    let line = invalid_message("apps", "Deployment", "x", &[one.clone(), one.clone()]);
    assert_eq!(line, "Deployment.apps \"x\" is invalid: spec.a: Required value");
    let line = invalid_message("", "Pod", "x", &[one, two]);
    assert_eq!(line, "Pod \"x\" is invalid: [spec.a: Required value, spec.b: Invalid value: 1: must not be]");
}
