//! Those who operate the process, over gRPC.

use trifold_pipeline::{Publisher, Versions};
use trifold_registry::COMPONENT_BYTES_MAX;
use trifold_server::admin::{Admin, AdminError, Desk, Intake, Process};

use crate::args::Operate;
use crate::clock;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::world::World;

/// Answers those who operate the process, where the flag or the configuration says, if one does. Whatever follows the
/// releases in this process is to hear the desk, and to tell it what runs.
pub fn start(world: &World, args: &Operate, command: &'static str) -> Outcome<Desk> {
    let desk = Desk::new();
    let address = args.admin.as_ref().unwrap_or(&world.config.admin.listen);
    if address.is_empty() {
        return Ok(desk);
    }
    let listener = world.block_on(Admin::bind(address)).map_err(|error| match error {
        AdminError::Exposed { .. } => Failure::new(Exit::Usage, error),
        _ => Failure::new(Exit::Unavailable, format!("{error}; choose another with --admin")),
    })?;
    let bound = listener.local_addr().or_exit(Exit::Io)?;
    tracing::info!(address = %format!("http://{bound}"), "those who operate this process are answered");
    let process =
        Process { command, program: env!("CARGO_PKG_VERSION"), pid: std::process::id(), started: clock::now() };
    let registry = world.registry(false)?;
    let bytes_max = world.config.sandbox.component_bytes_max.min(COMPONENT_BYTES_MAX as usize);
    let publisher = Publisher::new(Versions::new(registry.clone(), world.sandbox()?), bytes_max);
    let admin = Admin { process, desk: desk.clone(), registry, intake: Intake::new(publisher), clock: clock::now };
    world.handle().spawn(async move {
        if let Err(error) = admin.run(listener).await {
            tracing::error!("nobody can operate this process any more: {error}");
        }
    });
    Ok(desk)
}
