//! The least time that this machine needs to pull one image, from rates measured now.
//!
//! `max(C/network, U/disk, (C/sha + U/sha + inflate + N·file + U/copy) / cores)` with C compressed and U
//! unpacked bytes and N entries: every byte is received and hashed, inflated, hashed again, written to the
//! page cache and to the disk once, and every entry is made once. Nobody can be faster without leaving
//! one of these out.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use longshore_types::{Algorithm, Hasher};

use crate::{disk::Disk, usage};

const CHUNK: usize = 1 << 20;
const MEGABYTES: usize = 512;

/// Sizes of an image.
#[derive(Clone, Debug)]
pub struct Image {
    /// The compressed layers.
    pub layers: Vec<PathBuf>,
    pub compressed: f64,
    pub unpacked: f64,
    pub entries: f64,
}

/// What limits, in seconds for one image.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub network: f64,
    pub disk: f64,
    pub sha: f64,
    pub inflate: f64,
    pub files: f64,
    pub copy: f64,
    pub cores: f64,
}

impl Limit {
    /// Measures all rates for `image`.
    pub fn measure(image: &Image) -> io::Result<Self> {
        let disk = Disk::new("limit", 3000)?;
        let (copy, written) = write(disk.path())?;
        #[expect(clippy::cast_precision_loss, reason = "a machine has few")]
        let cores = thread::available_parallelism()?.get() as f64;
        Ok(Self {
            network: image.compressed / network()?,
            disk: image.unpacked / written,
            sha: (image.compressed + image.unpacked) / sha(),
            inflate: inflate(&image.layers)?,
            files: image.entries * file(disk.path())?,
            copy: image.unpacked / copy,
            cores,
        })
    }

    /// What the processors need for everything.
    #[must_use]
    pub fn processor(&self) -> f64 {
        self.sha + self.inflate + self.files + self.copy
    }

    /// The limit without waiting for the disk.
    #[must_use]
    pub fn cached(&self) -> f64 {
        self.network.max(self.processor() / self.cores)
    }

    /// The limit of a pull that is on the disk when it ends.
    #[must_use]
    pub fn durable(&self) -> f64 {
        self.cached().max(self.disk)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "limit {:.2} s durable, {:.2} s in the page cache: network {:.2}, disk {:.2}, processor ({:.2} sha256 + \
             {:.2} inflate + {:.2} entries + {:.2} copy) / {} = {:.2}",
            self.durable(),
            self.cached(),
            self.network,
            self.disk,
            self.sha,
            self.inflate,
            self.files,
            self.copy,
            self.cores,
            self.processor() / self.cores,
        )
    }
}

/// Bytes of a measurement.
fn bytes() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "half a gigabyte")]
    let bytes = (MEGABYTES * CHUNK) as f64;
    bytes
}

/// Processor seconds of this thread: others on the machine do not count.
fn processor() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default().as_secs_f64()
}

/// Bytes that one core hashes in a second.
fn sha() -> f64 {
    let chunk = vec![7; CHUNK];
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let start = processor();
    for _ in 0..MEGABYTES {
        hasher.update(&chunk);
    }
    std::hint::black_box(hasher.finish());
    bytes() / (processor() - start)
}

/// Processor seconds of the fastest inflater known (ISA-L's) for all layers.
fn inflate(layers: &[PathBuf]) -> io::Result<f64> {
    let before = usage::processor_seconds_of_ended();
    for layer in layers {
        let mut command = Command::new("igzip");
        command.arg("--decompress").arg("--stdout").stdin(File::open(layer)?).stdout(Stdio::null());
        let status = command.status()?;
        if !status.success() {
            return Err(io::Error::other(format!("igzip {}: {status}", layer.display())));
        }
    }
    Ok(usage::processor_seconds_of_ended() - before)
}

/// Bytes a processor second into the page cache of a file system, and a second onto its disk.
fn write(dir: &Path) -> io::Result<(f64, f64)> {
    let chunk = vec![7; CHUNK];
    let mut best = (0.0_f64, 0.0_f64);
    for _ in 0..2 {
        let (start, used) = (Instant::now(), processor());
        for number in 0..MEGABYTES / 16 {
            let mut file = File::create(dir.join(format!("write-{number}")))?;
            for _ in 0..16 {
                file.write_all(&chunk)?;
            }
        }
        let copied = processor() - used;
        rustix::fs::syncfs(File::open(dir)?)?;
        best.0 = best.0.max(bytes() / copied);
        best.1 = best.1.max(bytes() / start.elapsed().as_secs_f64());
        for number in 0..MEGABYTES / 16 {
            fs::remove_file(dir.join(format!("write-{number}")))?;
        }
    }
    Ok(best)
}

/// Processor seconds to make an empty file.
fn file(dir: &Path) -> io::Result<f64> {
    const DIRS: u32 = 100;
    const FILES: u32 = 100;
    let start = processor();
    for outer in 0..DIRS {
        let dir = dir.join(format!("files-{outer}"));
        fs::create_dir(&dir)?;
        for inner in 0..FILES {
            File::create(dir.join(inner.to_string()))?;
        }
    }
    Ok((processor() - start) / f64::from(DIRS * (FILES + 1)))
}

/// Bytes a second through one connection on the loopback.
fn network() -> io::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let sender = thread::spawn(move || -> io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let chunk = vec![7; CHUNK];
        (0..MEGABYTES).try_for_each(|_| stream.write_all(&chunk))
    });
    let mut stream = TcpStream::connect(address)?;
    let mut chunk = vec![0; CHUNK];
    let start = Instant::now();
    while stream.read(&mut chunk)? > 0 {}
    let time = start.elapsed().as_secs_f64();
    sender.join().map_err(|_| io::Error::other("the sender"))??;
    Ok(bytes() / time)
}
