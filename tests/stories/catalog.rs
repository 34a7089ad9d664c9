//! Catalogs in a few words.
//!
//! A line is a suite: `data-plane < operators: redis web<redis console!off mesh~`. After `<` come needs, `!off` and
//! `~` make a component switched off and provided. Each component makes one claim: that it `answers`.

use indexmap::IndexMap;
use seaworthy::checks::Check;
use seaworthy::plan::{Extent, Plan, PlanError, Selection, Suites, plan};
use seaworthy::span::Span;
use seaworthy::suite::{
    Catalog, ChartSource, CheckSpec, Component, ComponentName, Environment, HelmInstall, Install, Patience, Suite,
    SuiteName,
};

/// Reads the notation above.
#[track_caller]
pub(crate) fn catalog(lines: &str) -> Catalog {
    let suites = lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(suite);
    Catalog {
        environment: Environment {
            name: name("local"),
            node_image: None,
            cluster_config: None,
            preload: false,
            cluster_budget: Span::secs(300),
            requires: Default::default(),
        },
        suites: suites.map(|suite| (suite.name.clone(), suite)).collect(),
    }
}

/// Plans the suites named, all where none is, in full.
#[track_caller]
pub(crate) fn planned(lines: &str, suites: &[&str]) -> Plan {
    plan(&catalog(lines), &asking(suites)).unwrap()
}

/// Asks for these suites, for all where none is named.
pub(crate) fn asking(suites: &[&str]) -> Selection {
    let named = || Suites::Named(suites.iter().map(ToString::to_string).collect());
    Selection { suites: if suites.is_empty() { Suites::All } else { named() }, ..Selection::default() }
}

/// The same, to another extent.
pub(crate) fn asking_for(suites: &[&str], extent: Extent) -> Selection {
    Selection { extent, ..asking(suites) }
}

/// The words with which a selection is refused.
#[track_caller]
pub(crate) fn refusal(lines: &str, selection: &Selection) -> (String, bool) {
    let error: PlanError = plan(&catalog(lines), selection).unwrap_err();
    (error.to_string(), error.selects_nothing())
}

/// The only check of a component, to be changed by a story.
#[track_caller]
pub(crate) fn check<'a>(catalog: &'a mut Catalog, suite: &str, component: &str) -> &'a mut CheckSpec {
    let suite = &mut catalog.suites[&name::<SuiteName>(suite)];
    &mut suite.components[&name::<ComponentName>(component)].checks[0]
}

/// A name, parsed.
#[track_caller]
pub(crate) fn name<N: std::str::FromStr<Err = String>>(text: &str) -> N {
    text.parse().unwrap()
}

fn suite(line: &str) -> Suite {
    let (head, components) = line.split_once(':').unwrap();
    let (title, needs) = head.split_once('<').unwrap_or((head, ""));
    let components = components.split_whitespace().map(component);
    Suite {
        name: name(title.trim()),
        title: format!("The {} layer", title.trim()),
        labels: [(name("layer"), name(title.trim()))].into(),
        needs: needs.split_whitespace().map(name).collect(),
        deploy_budget: Span::secs(600),
        deploy_requirements: vec![name("F-4")],
        components: components.map(|component| (component.name.clone(), component)).collect(),
        file: format!("suites/{}.yaml", title.trim()).into(),
    }
}

fn component(word: &str) -> Component {
    let (head, needs) = word.split_once('<').unwrap_or((word, ""));
    let (head, off) = head.split_once('!').map_or((head, None), |(head, off)| (head, Some(off)));
    let title = head.trim_end_matches('~');
    let chart = ChartSource::Path(format!("charts-under-test/{title}").into());
    let install = if head.ends_with('~') {
        Install::Provided { by: "the cluster".to_owned() }
    } else {
        let (values, set) = (Vec::new(), Default::default());
        Install::Helm(HelmInstall { release: title.to_owned(), chart, values, set })
    };
    Component {
        name: name(title),
        title: format!("The {title} component"),
        namespace: name("data"),
        needs: needs.split(',').filter(|need| !need.is_empty()).map(name).collect(),
        install,
        preload: vec![format!("{title}:1.0")],
        ready_within: Span::secs(180),
        checks: IndexMap::from([(name("answers"), answers(title))]),
        off: off.map(str::to_owned),
        line: 1,
    }
}

fn answers(component: &str) -> CheckSpec {
    CheckSpec {
        name: name("answers"),
        title: format!("{component} answers"),
        requirements: vec![name(&format!("A-{component}"))],
        check: repeated(component),
        patience: Patience::default(),
        line: 1,
    }
}

/// A claim that is looked at again and again.
pub(crate) fn repeated(component: &str) -> Check {
    serde_json::from_value(serde_json::json!({ "tcp": { "at": format!("{component}:80") } })).unwrap()
}

/// A claim whose look itself waits.
pub(crate) fn lasting() -> Check {
    serde_json::from_value(serde_json::json!({ "namespace": {} })).unwrap()
}
