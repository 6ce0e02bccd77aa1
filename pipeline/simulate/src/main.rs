//! `simulate --seeds N [--seed S]`: runs worlds and says which laws did not hold in which.
#![allow(clippy::print_stdout, reason = "a command's answer belongs on its standard output")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use parking_lot::Mutex;
use simulate::{Verdict, run};

/// Simulates the whole pipeline, one world a seed
#[derive(Debug, Parser)]
#[command(name = "simulate")]
struct Arguments {
    /// So many worlds
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first world's seed; the others follow
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Worlds at once; 0: as many as this machine has processors
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Begin no world after so many seconds
    #[arg(long)]
    seconds: Option<u64>,
    /// End at the first mistake
    #[arg(long)]
    first: bool,
    /// Tell everything that happened in the first world
    #[arg(long)]
    tell: bool,
}

/// Failing worlds that are told in full.
const TOLD: usize = 3;

#[derive(Default)]
struct Sum {
    worlds: u64,
    messages: u64,
    sends: u64,
    faults: BTreeMap<&'static str, u64>,
    failed: Vec<Verdict>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    simulate::keep_panics();
    let began = Instant::now();
    let mut sum = run_all(&arguments, began);
    sum.failed.sort_by_key(|verdict| verdict.seed);
    report(&sum, began.elapsed(), &arguments);
    if sum.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_all(arguments: &Arguments, began: Instant) -> Sum {
    let sum = Mutex::new(Sum::default());
    let next = AtomicU64::new(0);
    let limit = arguments.seconds.map(Duration::from_secs);
    let threads = match arguments.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        some => some,
    };
    let work = || {
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            let late = limit.is_some_and(|limit| began.elapsed() >= limit);
            let enough = arguments.first && !sum.lock().failed.is_empty();
            if nth >= arguments.seeds || late || enough {
                return;
            }
            let seed = arguments.seed.wrapping_add(nth);
            if arguments.tell && nth == 0 {
                tell(seed);
            }
            let verdict = run(seed);
            sum.lock().add(verdict);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    sum.into_inner()
}

impl Sum {
    fn add(&mut self, verdict: Verdict) {
        self.worlds += 1;
        self.messages += verdict.messages as u64;
        let sends = verdict.happened.sends.iter().filter(|send| send.left);
        self.sends += sends.count() as u64;
        for (what, count) in &verdict.happened.faults {
            *self.faults.entry(what).or_default() += count;
        }
        if !verdict.mistakes.is_empty() {
            self.failed.push(verdict);
        }
    }
}

fn report(sum: &Sum, took: Duration, arguments: &Arguments) {
    for (what, count) in &sum.faults {
        println!("{count:>9} {what}");
    }
    let minute = sum.worlds as f64 / took.as_secs_f64() * 60.0;
    println!(
        "{} worlds, {} messages, {} sends in {:.1} s: {minute:.0} worlds a minute",
        sum.worlds,
        sum.messages,
        sum.sends,
        took.as_secs_f64()
    );
    let mut laws: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for verdict in &sum.failed {
        for law in verdict.mistakes.iter().map(|it| it.law).collect::<BTreeSet<_>>() {
            laws.entry(law).or_default().push(verdict.seed);
        }
    }
    for (law, seeds) in &laws {
        println!("{:>9} worlds: {law}, first in {}", seeds.len(), seeds[0]);
    }
    for verdict in sum.failed.iter().take(TOLD) {
        println!("\nseed {}:", verdict.seed);
        for mistake in verdict.mistakes.iter().take(5) {
            println!("  {mistake}");
        }
        let again = run(verdict.seed);
        let same = if again.hash == verdict.hash { "the same" } else { "ANOTHER" };
        println!("  run again: {same} hash of message.status, {}", again.hash);
        println!("  replay: cargo xtask simulate --seeds 1 --seed {} --tell", verdict.seed);
    }
    match sum.failed.len() {
        0 => println!("all laws held, from seed {}", arguments.seed),
        failed => println!("\n{failed} worlds FAILED"),
    }
}

fn tell(seed: u64) {
    match simulate::tell(seed) {
        Ok(lines) => lines.iter().for_each(|line| println!("{line}")),
        Err(error) => println!("seed {seed}: {error}"),
    }
}
