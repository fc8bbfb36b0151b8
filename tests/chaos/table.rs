//! Many runs, and the table of their results.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};

use super::fault::Fault;
use super::operator::Runs;
use super::run::{self, Expected};
use super::scenario::Scenario;

/// How many runs are made at the same time: the control plane is shared, and the machine is small.
const AT_ONCE: usize = 6;

/// As [`AT_ONCE`], of a scenario with a real server.
const REAL_AT_ONCE: usize = 2;

/// How many rows with seeds are made at the same time.
const ROWS_AT_ONCE: usize = 4;

/// The runs of one scenario with one kind of fault.
pub struct Row {
    pub scenario: &'static str,
    pub fault: String,
    pub seed: String,
    /// The runs in which something went wrong.
    pub runs: usize,
    /// The longest time from the last thing that went wrong until the end was reached.
    pub slowest: Option<Duration>,
    pub failures: Vec<String>,
}

/// The results.
#[derive(Default)]
pub struct Table(Vec<Row>);

/// What one run is, for its failure.
pub struct Run {
    what: String,
    runs: Runs,
    fault: Fault,
    seed: u64,
}

impl Run {
    fn of_write(runs: Runs, fault: fn(usize) -> Fault, number: usize) -> Self {
        Self {
            what: format!("n = {number}"),
            runs,
            fault: fault(number),
            seed: 0,
        }
    }
}

impl Table {
    /// Runs a scenario once for each of its writes and each of these faults.
    pub async fn every_write(&mut self, scenario: &'static Scenario, faults: &[fn(usize) -> Fault]) {
        let Some(expected) = self.expected(scenario).await else {
            return;
        };
        // A run may need a write more than the one without faults: a status that it wrote in two steps.
        for fault in faults {
            let runs = (1..=expected.writes + 2).map(|number| Run::of_write(Runs::Inside, *fault, number));
            let row = row(scenario, fault(0).to_string(), runs.collect(), &expected).await;
            let seed = format!("n = 1 to {}", row.runs);
            self.add(Row { seed, ..row });
        }
    }

    /// As [`Self::every_write`], but each write has only one of the faults, in turn.
    pub async fn every_write_in_turn(&mut self, scenario: &'static Scenario, faults: &[fn(usize) -> Fault]) {
        let Some(expected) = self.expected(scenario).await else {
            return;
        };
        let runs = (1..=expected.writes)
            .map(|number| Run::of_write(Runs::Inside, faults[number % faults.len()], number));
        let what = "at the n-th write, in turn".to_owned();
        let row = row(scenario, what, runs.collect(), &expected).await;
        let seed = format!("n = 1 to {}", expected.writes);
        self.add(Row { seed, ..row });
    }

    /// Runs a scenario with an operator that is a process, which is killed with SIGKILL at each of these writes.
    pub async fn killed_processes(&mut self, scenario: &'static Scenario, numbers: &[usize]) {
        let Some(expected) = self.expected(scenario).await else {
            return;
        };
        let runs = numbers
            .iter()
            .map(|number| Run::of_write(Runs::AsProcess, Fault::KilledAfter, *number));
        let what = "process killed (SIGKILL) after the n-th write".to_owned();
        let row = row(scenario, what, runs.collect(), &expected).await;
        let seed = format!("n = {numbers:?}");
        self.add(Row { seed, ..row });
    }

    /// Runs a scenario with each of these faults and the seeds from 1 on. Most runs wait for a pause to end, so all of them are made
    /// side by side.
    pub async fn seeds(&mut self, scenario: &'static Scenario, faults: &[Fault], seeds: u64) {
        let Some(expected) = self.expected(scenario).await else {
            return;
        };
        let rows = faults.iter().map(|fault| {
            let runs = (1..=seeds).map(|seed| Run {
                what: format!("seed {seed}"),
                runs: Runs::Inside,
                fault: *fault,
                seed,
            });
            row(scenario, fault.to_string(), runs.collect(), &expected)
        });
        let mut rows = Box::pin(stream::iter(rows).buffered(ROWS_AT_ONCE));
        while let Some(row) = rows.next().await {
            let seed = format!("1 to {seeds}");
            self.add(Row { seed, ..row });
        }
    }

    /// Adds a row, and prints it.
    pub fn add(&mut self, row: Row) {
        if self.0.is_empty() {
            println!(
                "| scenario | fault | seed | runs | slowest end after it | result |\n|---|---|---|---:|---:|---|"
            );
        }
        let Row {
            scenario,
            fault,
            seed,
            runs,
            slowest,
            failures,
        } = &row;
        let result = match failures.len() {
            0 if *runs == 0 => "nothing went wrong".to_owned(),
            0 => "as without faults".to_owned(),
            number => format!("{number} FAILED"),
        };
        let slowest = slowest.map_or_else(|| "–".to_owned(), |late| format!("{:.1} s", late.as_secs_f64()));
        println!("| {scenario} | {fault} | {seed} | {runs} | {slowest} | {result} |");
        self.0.push(row);
    }

    /// Fails if a run failed.
    pub fn finish(self) {
        let failures: Vec<String> = self.0.into_iter().flat_map(|row| row.failures).collect();
        assert!(
            failures.is_empty(),
            "{} failed\n{}",
            failures.len(),
            failures.join("\n")
        );
    }

    /// The run without faults. `None` if that fails.
    pub async fn expected(&mut self, scenario: &'static Scenario) -> Option<Expected> {
        match AssertUnwindSafe(run::without_faults(scenario))
            .catch_unwind()
            .await
        {
            Ok(expected) => Some(expected),
            Err(panic) => {
                self.add(Row {
                    scenario: scenario.name,
                    fault: Fault::None.to_string(),
                    seed: String::new(),
                    runs: 1,
                    slowest: None,
                    failures: vec![format!("{}: {}", scenario.name, text(panic.as_ref()))],
                });
                None
            }
        }
    }
}

/// Makes the runs of a row.
async fn row(scenario: &'static Scenario, fault: String, runs: Vec<Run>, expected: &Expected) -> Row {
    let at_once = if scenario.is_real() { REAL_AT_ONCE } else { AT_ONCE };
    let results: Vec<Result<Option<Duration>, String>> = stream::iter(runs)
        .map(|run| one(scenario, run, expected))
        .buffer_unordered(at_once)
        .collect()
        .await;
    let runs = results.iter().filter(|result| **result != Ok(None)).count();
    let slowest = results.iter().flatten().flatten().max().copied();
    let failures = results.into_iter().filter_map(Result::err).collect();
    Row {
        scenario: scenario.name,
        fault,
        seed: String::new(),
        runs,
        slowest,
        failures,
    }
}

/// A run that fails does not end the others.
async fn one(scenario: &'static Scenario, run: Run, expected: &Expected) -> Result<Option<Duration>, String> {
    let Run {
        what,
        runs,
        fault,
        seed,
    } = run;
    let lived = run::with_fault(scenario, runs, fault, seed, expected);
    let result = caught(lived).await;
    result.map_err(|why| format!("{}, {fault}, {what}: {why}", scenario.name))
}

/// A panic of a run is its failure.
pub async fn caught<T>(run: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    match Box::pin(AssertUnwindSafe(run).catch_unwind()).await {
        Ok(result) => result,
        Err(panic) => Err(text(panic.as_ref())),
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without text").to_owned()
}
