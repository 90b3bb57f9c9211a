//! The `trifold` command: wiring, configuration and telemetry. What it does is done in the crates below.
//!
//! Reading order: [`args`], [`config`], [`exit`], [`world`] for what commands open, then [`commands`].

pub mod admin;
pub mod args;
pub mod clock;
pub mod commands;
pub mod config;
pub mod environment;
pub mod exit;
pub mod monitor;
pub mod output;
pub mod progress;
pub mod random;
pub mod telemetry;
pub mod world;

use args::{Cli, Command};
use exit::Outcome;
use world::World;

/// Runs one command to its end.
pub fn run(cli: Cli) -> Outcome {
    let world = World::new(&cli.global)?;
    telemetry::start(&world.config.log)?;
    match cli.command {
        Command::New(args) => commands::author::new(&world, args),
        Command::Build(args) => commands::author::build(&world, args),
        Command::Inspect(args) => world.block_on(commands::inspect::run(&world, args)),
        Command::Check(args) => commands::check::run(&world, args),
        Command::Push(args) => world.block_on(commands::registry::push(&world, args)),
        Command::Sign(args) => world.block_on(commands::signatures::sign(&world, args)),
        Command::Key(args) => commands::signatures::key(&world, args.command),
        Command::Release(args) => world.block_on(commands::registry::release(&world, args)),
        Command::Rollback(args) => world.block_on(commands::registry::rollback(&world, args)),
        Command::Retire(args) => commands::retire::run(&world, &args),
        Command::Controller(args) => commands::controller::run(&world, args),
        Command::Views => world.block_on(commands::registry::views(&world)),
        Command::Versions(args) => world.block_on(commands::timeline::versions(&world, args)),
        Command::Releases(args) => world.block_on(commands::timeline::releases(&world, args)),
        Command::Status(args) => world.block_on(commands::status::run(&world, args)),
        Command::Diff(args) => commands::diff::run(&world, args),
        Command::Stream(args) => commands::stream::run(&world, args),
        Command::Backfill(args) => commands::backfill::run(&world, args),
        Command::Serve(args) => commands::serve::run(&world, args),
        Command::Materialize(args) => commands::materialize::run(&world, args),
        Command::Replay(args) => commands::replay::run(&world, &args),
        Command::Archive(args) => commands::archive::run(&world, args),
        Command::Up(args) => commands::up::run(&world, args),
        Command::Clear(args) => commands::clear::run(&world, args),
        Command::Get(args) => world.block_on(commands::get::run(&world, args)),
        Command::Loadtest(args) => world.block_on(commands::loadtest::run(&world, args)),
        Command::Explain(args) => commands::explain::run(&world, args),
        Command::Audit(args) => commands::audit::run(&world, args),
        Command::Config => commands::show_config(&world),
    }
}
