//! The laws on the embedded log, in memory and on disk.

use runtime::embedded::{Call, EmbeddedLog, Fault, Settings};
use runtime::log::Log;
use runtime::world::World;
use schemas::codec::Codec;
use tempfile::TempDir;

use crate::bed::Bed;

struct EmbeddedBed {
    log: EmbeddedLog,
    _folder: Option<TempDir>,
    _runtime: tokio::runtime::Runtime,
}

impl Bed for EmbeddedBed {
    fn log(&self) -> &dyn Log {
        &self.log
    }

    fn shaky(&self) -> &dyn Log {
        &self.log
    }

    fn shake(&self, nth: usize) {
        let fault = match nth % 3 {
            0 => Fault::AppliedButUnknown,
            1 => Fault::NotAppliedUnknown,
            _ => return,
        };
        self.log.inject_at(Call::Commit, fault);
        self.log.inject_at(Call::Write, fault);
    }
}

fn world() -> (tokio::runtime::Runtime, World) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = World::real(runtime.handle().clone(), Codec::default(), 1.0);
    (runtime, world)
}

fn memory_bed() -> EmbeddedBed {
    let (runtime, world) = world();
    EmbeddedBed { log: EmbeddedLog::in_memory(world, 0), _folder: None, _runtime: runtime }
}

fn disk_bed() -> EmbeddedBed {
    let (runtime, world) = world();
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { partitions: 0, ..Settings::default() };
    let log = EmbeddedLog::open(folder.path(), world, settings).unwrap();
    EmbeddedBed { log, _folder: Some(folder), _runtime: runtime }
}

mod in_memory {
    crate::bed::all_laws_hold_on!(super::memory_bed());
}

mod on_disk {
    crate::bed::all_laws_hold_on!(super::disk_bed());
}
