//! Images from the command line, without a daemon: for measurements and for trying things out.
//!
//! ```text
//! images --root DIR [--platform P] [--insecure HOST] [--mirror URL] [--drop-compressed] [-v] COMMAND
//!     pull [-a] NAME…    push [-a] NAME…    tag NAME NEW    rm NAME…    images    gc    ledger
//!     load FILE…    save FILE NAME…
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a command")]

use std::{
    collections::VecDeque,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use longshore_image::{Images, LoadOptions, PullOptions, PushOptions, SaveOptions, Settings};
use longshore_registry::{Client, Config, Credentials, Keychain};
use longshore_store::{Options, Store};
use longshore_types::{Platform, Progress, ProgressEvent, Reference, progress::Silent};

type Failure = Box<dyn std::error::Error>;

struct Arguments {
    root: PathBuf,
    platform: Option<Platform>,
    config: Config,
    store: Options,
    verbose: bool,
    all: bool,
    words: VecDeque<String>,
}

fn arguments() -> Result<Arguments, Failure> {
    let mut arguments = Arguments {
        root: PathBuf::new(),
        platform: None,
        config: Config::default(),
        store: Options::default(),
        verbose: false,
        all: false,
        words: VecDeque::new(),
    };
    let mut given = std::env::args().skip(1);
    while let Some(word) = given.next() {
        let mut value = || given.next().ok_or_else(|| format!("{word} wants a value"));
        match word.as_str() {
            "--root" => arguments.root = value()?.into(),
            "--platform" => arguments.platform = Some(Platform::parse(&value()?)?),
            "--mirror" => arguments.config.mirrors.push(value()?),
            "--insecure" => arguments.config.insecure_registries.push(value()?),
            "--drop-compressed" => arguments.store.keep_compressed = false,
            "-v" => arguments.verbose = true,
            "-a" => arguments.all = true,
            _ => arguments.words.push_back(word),
        }
    }
    if arguments.root.as_os_str().is_empty() {
        return Err("--root DIR is needed".into());
    }
    Ok(arguments)
}

fn line(event: ProgressEvent) {
    let amounts = event.status.amounts().map(|(current, total)| format!(" {current}/{total}"));
    let amounts = amounts.unwrap_or_default();
    if event.id.is_empty() {
        println!("{}{amounts}", event.status);
    } else {
        println!("{}: {}{amounts}", event.id, event.status);
    }
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let done = runtime.map_err(Failure::from).and_then(|runtime| runtime.block_on(run()));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = error.downcast_ref().map_or_else(|| error.to_string(), longshore_image::Error::line);
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let mut arguments = arguments()?;
    let (store, recovery) = Store::open(&arguments.root, arguments.store.clone())?;
    if arguments.verbose && !recovery.is_clean() {
        println!("recovered: {recovery:?}");
    }
    let registry = Client::new(arguments.config.clone())?;
    let images = Images::new(store, registry, Settings::default());
    let sink: &dyn Progress = if arguments.verbose { &line } else { &Silent };
    let command = arguments.words.pop_front().ok_or("no command")?;
    let start = Instant::now();
    match command.as_str() {
        "pull" => pull(&images, &arguments, sink).await?,
        "push" => push(&images, &arguments, sink).await?,
        "tag" => tag(&images, &arguments)?,
        "rm" => remove(&images, &arguments)?,
        "load" => load(&images, &arguments, sink)?,
        "save" => save(&images, &mut arguments)?,
        "images" => list(&images)?,
        "gc" => println!("{:?}", images.store().collect()?),
        "ledger" => println!("{:#?}", images.store().ledger(Duration::ZERO)?),
        other => return Err(format!("unknown command {other:?}").into()),
    }
    if arguments.verbose {
        println!("{command}: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(())
}

/// The user's own logins.
fn credentials() -> Credentials {
    Keychain::of_user().map_or(Credentials::Anonymous, Credentials::Keychain)
}

async fn pull(images: &Images, arguments: &Arguments, sink: &dyn Progress) -> Result<(), Failure> {
    let options = PullOptions { platform: arguments.platform.clone(), credentials: credentials() };
    for name in &arguments.words {
        let name = Reference::parse(name)?;
        let pulled = if arguments.all {
            images.pull_all(&name, &options, sink).await?
        } else {
            vec![images.pull(&name, &options, sink).await?]
        };
        for one in pulled {
            println!("{}", one.image);
        }
    }
    Ok(())
}

async fn push(images: &Images, arguments: &Arguments, sink: &dyn Progress) -> Result<(), Failure> {
    let options = PushOptions { platform: arguments.platform.clone(), credentials: credentials() };
    for name in &arguments.words {
        let name = Reference::parse(name)?;
        let pushed = if arguments.all {
            images.push_all(&name, &options, sink).await?
        } else {
            vec![images.push(&name, &options, sink).await?]
        };
        for one in pushed {
            println!("{}", one.digest);
        }
    }
    Ok(())
}

fn tag(images: &Images, arguments: &Arguments) -> Result<(), Failure> {
    let [from, to] = arguments.words.iter().collect::<Vec<_>>()[..] else {
        return Err("tag NAME NEW".into());
    };
    let target = images.store().resolve(from)?.target;
    Ok(images.store().tag(&Reference::parse(to)?.with_default_tag(), target)?)
}

fn load(images: &Images, arguments: &Arguments, sink: &dyn Progress) -> Result<(), Failure> {
    for file in &arguments.words {
        let options = LoadOptions { platform: arguments.platform.clone() };
        for loaded in images.load(std::fs::File::open(file)?, &options, sink)? {
            println!("{}", loaded.image);
        }
    }
    Ok(())
}

fn save(images: &Images, arguments: &mut Arguments) -> Result<(), Failure> {
    let file = arguments.words.pop_front().ok_or("save wants a file, then names")?;
    let words: Vec<_> = arguments.words.drain(..).collect();
    let options = SaveOptions { platform: arguments.platform.clone() };
    Ok(images.save(&words, &options, std::fs::File::create(file)?)?)
}

/// Removes names, and images with their last one; waits until their files are gone.
fn remove(images: &Images, arguments: &Arguments) -> Result<(), Failure> {
    let store = images.store();
    for word in &arguments.words {
        let resolved = store.resolve(word)?;
        for id in &resolved.images {
            match &resolved.name {
                Some(name) if name.tag().is_some() && store.tags_of(id)?.len() > 1 => {
                    println!("untagged {}", store.untag(name).map(|_| name.familiar())?);
                    break;
                }
                _ => {
                    store.remove_image(id, false)?;
                    println!("deleted {id}");
                }
            }
        }
    }
    Ok(store.wait_for_trash()?)
}

fn list(images: &Images) -> Result<(), Failure> {
    let store = images.store();
    for image in store.images()? {
        let tags: Vec<_> = store.tags_of(&image.id)?.iter().map(|tag| tag.name.familiar()).collect();
        let digests: Vec<_> = store.repo_digests(&image.id)?.iter().map(Reference::familiar).collect();
        println!("{} {:?} {tags:?} {digests:?}", image.id, image.state);
    }
    Ok(())
}
