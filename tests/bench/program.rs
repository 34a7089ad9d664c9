//! What the program itself costs: the start and end of a dry run, and a whole run of a shipped suite.

use seaworthy::process::Program;
use tokio::time::Instant;

use super::figures;
use super::harness::Use;
use super::place::Fault;

const ROUNDS: usize = 30;

pub(crate) async fn measure() -> Result<(), Fault> {
    dry_runs().await?;
    whole_run()
}

async fn dry_runs() -> Result<(), Fault> {
    let program = Program::new(env!("CARGO_BIN_EXE_seaworthy")).args(["suite", "--all", "--dry-run"]);
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        program.output().await?;
        took.push(started.elapsed().as_secs_f64() * 1_000.0);
    }
    figures::table("a dry run of all shipped suites, milliseconds", &[("ours", &took)]);
    let median = figures::median(&took);
    figures::goal("under 50 ms, by the median", median < 50.0, &format!("{median:.1} ms"));
    Ok(())
}

fn whole_run() -> Result<(), Fault> {
    let told = Use::of("bench-run", &["suite", "data-plane"]).run();
    let ended = told.events.iter().find(|event| event["event"] == "run-ended");
    let figure = |name: &str| ended.and_then(|event| event["cost"][name].as_f64());
    let (Some(0), Some(wall), Some(own), Some(cpu), Some(peak)) =
        (told.exit, figure("wall_ms"), figure("own_ms"), figure("cpu_ms"), figure("peak_kb"))
    else {
        return Err(told.everything().into());
    };
    println!("\nsuite data-plane: {:.1} s, of them {own} ms its own; {cpu} ms of processor time", wall / 1_000.0);
    let (share, memory) = (own / wall * 100.0, peak / 1_024.0);
    figures::goal("under 5 % of the wall time in the program itself", share < 5.0, &format!("{share:.2} %"));
    figures::goal("under 60 MB resident", memory < 60.0, &format!("{memory:.1} MB"));
    Ok(())
}
