//! The command `keelhaul`.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else, above all before a runtime and its threads: the supervisor is a single thread.
    let first = std::env::args_os().nth(1);
    if first.is_some_and(|word| word == keelhaul::supervisor::HIDDEN_WORD) {
        return keelhaul::supervisor::serve();
    }
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()),
        )
        .init();
    keelhaul::cli::main().into()
}
