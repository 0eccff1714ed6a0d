//! How judging a history grows with it: time and memory of the whole process `keelhaul check`, reading included.
//!
//!     cargo build --release && cargo run --release --example growth -- --svg growth.svg
//!
//! For each row of [`ROWS`] histories are generated (`keelhaul generate`, seed 1), judged three times, and deleted. Standard
//! output is a table in Markdown: the median time, and the most memory that any of the three held (`VmHWM`). The picture has
//! both, on logarithmic axes. Linux only.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// One kind of history, and up to what size it is judged.
struct Row {
    title: &'static str,
    model: &'static str,
    options: &'static [&'static str],
    largest: u64,
}

const ROWS: &[Row] = &[
    Row {
        title: "register, unique values, 1 % indeterminate",
        model: "register",
        options: &["--info", "0.01"],
        largest: 10_000_000,
    },
    Row {
        title: "register, five values, 1 % indeterminate",
        model: "register",
        options: &["--values", "5", "--info", "0.01"],
        largest: 1_000_000,
    },
    Row {
        title: "fifo-queue, distinct values",
        model: "fifo-queue",
        options: &[],
        largest: 10_000_000,
    },
    Row {
        title: "list-append, strict serializable",
        model: "list-append",
        options: &[],
        largest: 1_000_000,
    },
    Row {
        title: "versioned-register, by version",
        model: "versioned-register",
        options: &[],
        largest: 1_000_000,
    },
    Row {
        title: "znodes, by zxid, none indeterminate",
        model: "znodes",
        options: &[],
        largest: 1_000_000,
    },
];

const SIZES: [u64; 4] = [10_000, 100_000, 1_000_000, 10_000_000];

/// How often each history is judged.
const TIMES: usize = 3;

/// How often a running process is asked for its memory.
const POLL: Duration = Duration::from_millis(2);

/// One history's cost.
#[derive(Clone, Copy)]
struct Cost {
    operations: u64,
    seconds: f64,
    mebibytes: f64,
}

fn main() -> ExitCode {
    match measure_all() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("growth: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn measure_all() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let svg = match arguments.as_slice() {
        [] => None,
        [flag, path] if flag == "--svg" => Some(PathBuf::from(path)),
        _ => return Err("usage: growth [--svg FILE]".to_owned()),
    };
    let keelhaul = keelhaul()?;
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let history = directory.path().join("history.jsonl");
    let mut all = Vec::new();
    for row in ROWS {
        let mut costs = Vec::new();
        for size in SIZES.into_iter().filter(|size| *size <= row.largest) {
            eprintln!("{}: {size} operations", row.title);
            generate(&keelhaul, row, size, &history)?;
            costs.push(cost(&keelhaul, row, size, &history)?);
        }
        all.push((row.title, costs));
    }
    println!("{}", table(&all));
    match svg {
        Some(path) => std::fs::write(&path, picture(&all))
            .map_err(|error| format!("could not write {}: {error}", path.display())),
        None => Ok(()),
    }
}

/// The program that stands beside this one's folder.
fn keelhaul() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let beside = own.parent().and_then(Path::parent);
    let program = beside.map(|folder| folder.join("keelhaul"));
    program
        .filter(|program| program.exists())
        .ok_or_else(|| "keelhaul is not built in this profile: cargo build --release".to_owned())
}

fn generate(keelhaul: &Path, row: &Row, size: u64, history: &Path) -> Result<(), String> {
    let status = Command::new(keelhaul)
        .args([
            "generate",
            "--seed",
            "1",
            "--concurrency",
            "10",
            "--model",
            row.model,
        ])
        .args(["--ops", &size.to_string()])
        .args(row.options)
        .arg("--output")
        .arg(history)
        .status()
        .map_err(|error| error.to_string())?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("keelhaul generate --model {} failed", row.model)),
    }
}

fn cost(keelhaul: &Path, row: &Row, size: u64, history: &Path) -> Result<Cost, String> {
    let mut seconds = Vec::new();
    let mut mebibytes: f64 = 0.0;
    for _ in 0..TIMES {
        let begin = Instant::now();
        let mut child = Command::new(keelhaul)
            .args(["check", "--model", row.model])
            .arg(history)
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let status = loop {
            mebibytes = mebibytes.max(high_water(child.id()).unwrap_or(0.0));
            match child.try_wait().map_err(|error| error.to_string())? {
                Some(status) => break status,
                None => std::thread::sleep(POLL),
            }
        };
        if !status.success() {
            return Err(format!("{} of {size} operations: {status}", row.title));
        }
        seconds.push(begin.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(Cost {
        operations: size,
        seconds: seconds[TIMES / 2],
        mebibytes,
    })
}

/// The most memory that a process has held so far, in MiB.
fn high_water(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib / 1_024.0)
}

fn table(all: &[(&str, Vec<Cost>)]) -> String {
    let mut text = "| | 10^4 | 10^5 | 10^6 | 10^7 |\n|---|---|---|---|---|\n".to_owned();
    for (title, costs) in all {
        write!(text, "| {title} |").expect("writing to a string does not fail");
        for size in SIZES {
            match costs.iter().find(|cost| cost.operations == size) {
                Some(cost) => write!(text, " {:.2} s, {:.0} MiB |", cost.seconds, cost.mebibytes),
                None => write!(text, " |"),
            }
            .expect("writing to a string does not fail");
        }
        text.push('\n');
    }
    text
}

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 34.0;
const COLOURS: [&str; 6] = [
    "#0b6bcb", "#c2410c", "#15803d", "#7c3aed", "#a16207", "#be185d",
];

/// Two plots side by side, time and memory, and a line of names below.
fn picture(all: &[(&str, Vec<Cost>)]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        2.0 * (LEFT + WIDTH) + 32.0,
        TOP + HEIGHT + 44.0 + 18.0 * all.len() as f64
    );
    plot(
        &mut svg,
        all,
        LEFT,
        "seconds, by operations",
        (-2, 2),
        |cost| cost.seconds,
    );
    plot(
        &mut svg,
        all,
        2.0 * LEFT + WIDTH,
        "MiB, by operations",
        (0, 4),
        |cost| cost.mebibytes,
    );
    for (place, (title, _)) in all.iter().enumerate() {
        let y = TOP + HEIGHT + 44.0 + 18.0 * place as f64;
        let colour = COLOURS[place % COLOURS.len()];
        writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{}\" y2=\"{}\" stroke=\"{colour}\" stroke-width=\"3\"/><text x=\"{}\" y=\"{y}\">{title}</text>",
            LEFT + 24.0,
            y - 4.0,
            y - 4.0,
            LEFT + 32.0
        )
        .expect("writing to a string does not fail");
    }
    svg.push_str("</svg>\n");
    svg
}

fn plot(
    svg: &mut String,
    all: &[(&str, Vec<Cost>)],
    left: f64,
    unit: &str,
    (low, high): (i32, i32),
    value: impl Fn(&Cost) -> f64,
) {
    let x = |operations: u64| left + WIDTH * ((operations as f64).log10() - 4.0) / 3.0;
    let y = |value: f64| {
        let share = (value.log10() - f64::from(low)) / f64::from(high - low);
        TOP + HEIGHT * (1.0 - share.clamp(0.0, 1.0))
    };
    let mut line = |text: String| {
        svg.push_str(&text);
        svg.push('\n');
    };
    line(format!(
        "<text x=\"{left}\" y=\"20\" font-weight=\"bold\">{unit}</text>"
    ));
    for power in low..=high {
        let at = y(10f64.powi(power));
        let label = match power {
            0.. => format!("{}", 10i64.pow(power.unsigned_abs())),
            _ => format!("{}", 10f64.powi(power)),
        };
        line(format!(
            "<line x1=\"{left}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#d4d4d8\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            left + WIDTH,
            left - 6.0,
            at + 4.0
        ));
    }
    for (size, label) in SIZES.into_iter().zip(["10⁴", "10⁵", "10⁶", "10⁷"]) {
        let at = x(size);
        line(format!(
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{}\" stroke=\"#d4d4d8\"/><text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            TOP + HEIGHT,
            TOP + HEIGHT + 18.0
        ));
    }
    for (place, (_, costs)) in all.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let points: Vec<String> = costs
            .iter()
            .map(|cost| format!("{:.1},{:.1}", x(cost.operations), y(value(cost))))
            .collect();
        line(format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        ));
        for point in points {
            let (x, y) = point.split_once(',').expect("a point is x,y");
            line(format!(
                "<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"{colour}\"/>"
            ));
        }
    }
}
