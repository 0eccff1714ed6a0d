//! The command `keelhaul`.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else, above all before a runtime and its threads: the supervisor is a single thread.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == keelhaul::supervisor::HIDDEN_WORD)
    {
        return keelhaul::supervisor::serve();
    }
    ExitCode::SUCCESS
}
