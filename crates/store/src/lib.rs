//! Images on disk: blobs, unpacked layers, snapshots, tags, leases.
//!
//! [`Store`] owns one data root. It is synchronous, cheap to clone and callable from several threads. It knows
//! no containers and no registries: who uses something holds a *lease* on it.
//!
//! # The data root
//!
//! ```text
//! <root>/                        0710, everything below 0700
//! ├── lock                       flock'ed by the process that has the store open; holds its pid
//! ├── store.db                   SQLite (WAL, synchronous=FULL): what exists. The schema is in db/schema.sql
//! ├── reserve                    bytes given back when the disk is full, so that a removal can be written down
//! ├── store/                     an OCI image layout, readable by other tools
//! │   ├── oci-layout
//! │   ├── index.json             the tags, derived from store.db
//! │   ├── blobs/sha256/<hex>     manifests, indexes, configs, compressed layers, recipes
//! │   └── ingest/sha256-<hex>-<size>   a partial download; its length is how far it came
//! ├── layers/<n>/fs/             an unpacked layer in overlay form, shared by every image that has it
//! ├── layers/<n>/layer.json      which layer this is: what a lost database is rebuilt from
//! ├── snapshots/<n>/{upper,work} the writable layer of a container or a build step
//! ├── empty/                     the lowest layer of a mount that would otherwise have none
//! ├── trash/<n>                  what is being deleted
//! └── quarantine/<name>          what was found damaged; nothing uses it
//! ```
//!
//! # The crash protocol
//!
//! **A thing exists if and only if its row does.** There are no states in between:
//!
//! * *Creation*: files first, at a place that nothing reads; then they are made durable; then, in one transaction,
//!   the rows. `COMMIT` is the acknowledgement.
//! * *Removal*: the rows first, in one transaction; then the files, renamed to `trash/` and deleted behind the
//!   caller's back. `COMMIT` is the acknowledgement here too.
//!
//! A snapshot may be made and removed without waiting for the disk ([`Durability::Kernel`]): its owner, who has a row of
//! its own for it elsewhere, makes both durable together ([`Store::sync`]), and says at its next start what is to be.
//!
//! So a row whose files are missing cannot come from a crash, and is treated as damage. Files without a row are
//! what a crash leaves, whichever side it came from, and [`Store::open`] throws them away:
//!
//! | found at open | comes from | what happens |
//! |---|---|---|
//! | a blob or a layer without a row | a commit before `COMMIT`, a removal after it | deleted |
//! | a snapshot without a row | the same, or a snapshot that was to die with the process | deleted |
//! | a layer without a row whose `layer.json` names a live snapshot without `upper` | [`Snapshot::commit`] before `COMMIT` | renamed back: the snapshot is as it was |
//! | a snapshot's row without its directories | power loss right after it was created | made again, empty, and reported |
//! | a partial download | a broken pull | kept: the next pull goes on from there |
//! | anything in `trash/` | a removal | deleted, in the background |
//! | `index.json` unlike the tags | a crash between `COMMIT` and its rewriting | rewritten |
//! | temporary leases | they are in memory only | gone |
//! | a row without its file, a file of another length | damage | the object is taken out of use, listed; a pull heals it |
//! | a database that SQLite cannot read | damage | set aside; rebuilt from `index.json`, blobs and `layer.json` |
//!
//! [`Recovery`] lists all of it. How it is made durable: [`Store::commit_all`] takes any number of prepared blobs,
//! layers, images and tags; `syncfs(2)` for all of them at once, then the blobs are renamed from `ingest/` to
//! their place and the directory is synced, then one transaction. While it is being filled, a layer's bytes are
//! already on their way to the disk (`flush.rs`).
//!
//! The content of a partial is never trusted: its hash is computed again from the file when a download resumes,
//! and verified at its end. One that does not match is deleted, so a second attempt starts from nothing.
//!
//! # Locks, in this order
//!
//! 1. `Db::writer`: held over a transaction *and* the renames that belong to it, so that nobody can commit
//!    a blob while its namesake is on its way to the trash. Never while bytes are hashed, written or deleted.
//! 2. `Inner::staged`: names of what is being made. Held for a lookup.
//!
//! Reads use a second connection and wait for nobody.
//!
//! # Garbage
//!
//! An image stays until it is removed. Blobs and layers stay while an image, a snapshot or a lease refers to them;
//! references are counted by SQL when asked, not kept. [`Store::collect`] may run at any time: what is being
//! made has no row yet and is not its business. Whoever finds a blob or layer present and means to rely on it
//! adds it to a lease first, and looks then.

mod blob;
mod check;
mod commit;
mod db;
mod dir;
mod error;
mod failpoint;
mod flush;
mod image;
mod index;
mod inside;
mod layer;
mod lease;
mod ledger;
mod measure;
mod outflow;
mod overlay;
mod rebuild;
mod recover;
mod remove;
mod reserve;
mod root;
mod size;
mod snapshot;
mod tag;
mod trash;
mod view;
mod wal;

pub use blob::{Ingest, PreparedBlob};
pub use check::Report;
pub use commit::Prepared;
pub use error::{Error, Result};
pub use image::{Image, Manifest, ManifestKind, NewImage, NewManifest, State};
pub use inside::root_of;
pub use layer::{Form, FormKind, Layer, LayerFacts, NewLayer, PreparedLayer};
pub use lease::{Lease, LeaseEntry, Life, Resource};
pub use ledger::Ledger;
pub use measure::Usage;
pub use overlay::{Access, MAX_LAYERS};
pub use recover::Recovery;
pub use remove::{Kept, Removed};
pub use root::{Options, Store};
pub use size::Sizes;
pub use snapshot::{Snapshot, SnapshotEntry};
pub use tag::{Resolved, Tag, Target};
pub use view::Over;
pub use wal::{Durability, Wal};
