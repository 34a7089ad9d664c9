//! What stands on what: every need is there, and nothing stands on itself.

use std::collections::BTreeMap;
use std::fmt::Display;

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::Cx;
use crate::suite::field::Placed;
use crate::suite::mistake::Finding;
use crate::suite::source::Place;

/// Names and what each needs, with the places where it says so.
pub(super) type Needs<N> = BTreeMap<N, Vec<Placed<N>>>;

/// Notes needs that are not there and circles, each named by its members. `what`: "suite", "component".
pub(super) fn check<N: Ord + Clone + Display>(cx: &mut Cx<'_>, what: &str, needs: &Needs<N>, known: &[String]) {
    for need in needs.values().flatten() {
        let word = need.value.to_string();
        if !known.contains(&word) {
            let finding = Finding::new(format!("there is no {what} `{word}`"));
            cx.note(need.place, finding.did_you_mean(&word, known.iter().map(String::as_str)));
        }
    }
    for circle in circles(needs) {
        let names: Vec<String> = circle.iter().map(|(name, _)| format!("`{name}`")).collect();
        let places = circle.iter().map(|(name, place)| (*place, format!("`{name}` needs this"))).collect();
        let finding = match names.as_slice() {
            [own] => Finding::new(format!("the {what} {own} needs itself")),
            several => Finding::new(format!(
                "these {what}s need each other in a circle: {} → {}",
                several.join(" → "),
                several[0]
            )),
        };
        cx.ledger.note_all(places, finding.remedy("take one of these needs away"));
    }
}

/// One circle for each group of names that reach each other: its members, each with the place of its need of the
/// next, from the smallest name on.
fn circles<N: Ord + Clone>(needs: &Needs<N>) -> Vec<Vec<(N, Place)>> {
    let mut graph = DiGraph::<&N, ()>::new();
    let nodes: BTreeMap<&N, NodeIndex> = needs.keys().map(|name| (name, graph.add_node(name))).collect();
    for (name, wanted) in needs {
        for need in wanted.iter().filter_map(|need| nodes.get(&need.value)) {
            graph.add_edge(nodes[name], *need, ());
        }
    }
    let groups = tarjan_scc(&graph).into_iter();
    let mut groups: Vec<Vec<&N>> = groups.map(|group| group.into_iter().map(|node| graph[node]).collect()).collect();
    groups.iter_mut().for_each(|group| group.sort());
    groups.sort();
    groups.iter().filter_map(|group| circle(needs, group)).collect()
}

/// Follows needs inside a group until a name comes again.
fn circle<N: Ord + Clone>(needs: &Needs<N>, group: &[&N]) -> Option<Vec<(N, Place)>> {
    let mut path: Vec<(N, Place)> = Vec::new();
    let mut name = group.first().copied()?;
    loop {
        if let Some(start) = path.iter().position(|(earlier, _)| earlier == name) {
            let mut circle = path.split_off(start);
            let smallest = circle.iter().enumerate().min_by_key(|(_, (name, _))| name).map_or(0, |(index, _)| index);
            circle.rotate_left(smallest);
            return Some(circle);
        }
        // A name alone that does not need itself is no circle.
        let next = needs[name].iter().find(|need| group.contains(&&need.value))?;
        path.push((name.clone(), next.place));
        name = &next.value;
    }
}

/// Names, each after those it needs; among those that could be next, the smallest first.
pub(super) fn order<N: Ord + Clone>(needs: &Needs<N>) -> Vec<N> {
    let mut order: Vec<N> = Vec::new();
    let mut left: Vec<&N> = needs.keys().collect();
    let is_ready = |order: &Vec<N>, name: &N| {
        needs[name].iter().all(|need| order.contains(&need.value) || !needs.contains_key(&need.value))
    };
    while let Some(next) = left.iter().position(|name| is_ready(&order, name)) {
        order.push(left.remove(next).clone());
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(written: &[(&'static str, &[&'static str])]) -> Needs<&'static str> {
        let placed = |value: &&'static str| Placed { place: Place(0), value: *value };
        written.iter().map(|(name, wanted)| (*name, wanted.iter().map(placed).collect())).collect()
    }

    #[track_caller]
    fn check(written: &[(&'static str, &[&'static str])], expected: &[&[&str]]) {
        let found: Vec<Vec<&str>> = circles(&needs(written))
            .into_iter()
            .map(|circle| circle.into_iter().map(|(name, _)| name).collect())
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn every_circle_is_found_once_from_its_smallest_name() {
        check(&[("a", &[]), ("b", &["a"])], &[]);
        check(&[("a", &["a"])], &[&["a"]]);
        check(&[("c", &["a"]), ("a", &["b"]), ("b", &["c"]), ("d", &["a"])], &[&["a", "b", "c"]]);
        check(&[("a", &["b"]), ("b", &["a"]), ("x", &["y"]), ("y", &["x"])], &[&["a", "b"], &["x", "y"]]);
        check(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])], &[&["b", "c"]]);
    }

    #[test]
    fn each_name_comes_after_those_it_needs_and_ties_go_by_name() {
        assert_eq!(order(&needs(&[("a", &["z"]), ("b", &[]), ("z", &["b"]), ("c", &[])])), ["b", "c", "z", "a"]);
    }
}
