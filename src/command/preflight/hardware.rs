//! What nodes ask of the host's files and of QEMU: images, kernels, CPU models.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::error::Problem;
use crate::host::disk_image;
use crate::host::tools::Tools;
use crate::lab::hardware::Base;
use crate::lab::{Disk, Lab, Node};
use crate::node::qemu::Accelerator;
use crate::node::storage;
use crate::rundir::RunDir;

/// What stands in the way of the nodes of `lab`.
pub(super) fn problems(lab: &Lab, tools: &Tools) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for node in &lab.nodes {
        let of_files = files(node).into_iter().chain(disks(lab, node));
        // Many nodes may have one file, and one problem with it.
        let new = of_files.filter(|problem| {
            let what = problem.message.split_once(": ").map(|(_, what)| what);
            seen.insert(what.unwrap_or_default().to_owned())
        });
        problems.extend(new);
    }
    problems.extend(cpus(lab, tools));
    problems
}

/// The user's files that cannot be read by QEMU, which is no user that owns any.
fn files(node: &Node) -> Vec<Problem> {
    let name = &node.name;
    let mut files = Vec::new();
    files.extend(node.iso.iter().map(|file| ("iso", file)));
    for disk in &node.disks {
        files.extend(disk.base.iter().map(|base| ("base", &base.file)));
    }
    if let Some(kernel) = &node.kernel {
        files.push(("kernel", &kernel.file));
        files.extend(kernel.initrd.iter().map(|file| ("initrd", file)));
    }
    let problem = |(key, file): (&str, &std::path::PathBuf)| {
        let (why, hint) = unreadable(file)?;
        let message = format!("node `{name}`: its {key} {}: {why}", file.display());
        Some(Problem {
            message,
            hint: Some(hint),
        })
    };
    files.into_iter().filter_map(problem).collect()
}

/// Why a file cannot be read by everybody, if so, and what to do.
fn unreadable(file: &Path) -> Option<(String, String)> {
    let shown = file.display();
    let look = format!("ls -ld {shown}");
    match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some((
            "there is no such file".to_owned(),
            "relative paths start at the folder of the lab file".to_owned(),
        )),
        Err(error) => Some((error.to_string(), look)),
        Ok(found) if !found.is_file() => Some(("it is no regular file".to_owned(), look)),
        Ok(found) => super::denied(file, &found, 0o004).map(|why| {
            let hint = format!("chmod o+r {shown}");
            (why, hint)
        }),
    }
}

/// Bases that cannot be one, and overlays that were made on another.
fn disks(lab: &Lab, node: &Node) -> Vec<Problem> {
    let state = RunDir::own(&lab.name).state().join(node.name.as_str());
    let mut problems = Vec::new();
    for (number, disk) in storage::numbered(node) {
        let Some(base) = disk.base.as_ref() else {
            continue;
        };
        if unreadable(&base.file).is_some() {
            continue;
        }
        let path = storage::disk(&state, number, disk);
        let (why, hint) = match disk_image::examine(&base.file, base.format) {
            Err(why) => (why.to_string(), way_out(&why, base)),
            Ok(bytes) => match unlike(bytes, disk, base, &path) {
                Some(why) => why,
                None => continue,
            },
        };
        problems.push(Problem {
            message: format!(
                "node `{}`: its base {} {why}",
                node.name,
                base.file.display()
            ),
            hint: Some(hint),
        });
    }
    problems
}

fn way_out(why: &disk_image::Unfit, base: &Base) -> String {
    use disk_image::Unfit;
    let (file, format) = (base.file.display(), base.format);
    match why {
        Unfit::Io(_) => format!("ls -l {file}"),
        Unfit::Other("a qcow2 image") => "write format = \"qcow2\"".to_owned(),
        Unfit::Other(_) => format!("qemu-img convert -O qcow2 {file} base.qcow2"),
        Unfit::NoQcow2 => "write format = \"raw\" if it is a plain image".to_owned(),
        Unfit::Broken => format!("qemu-img check -f {format} {file}"),
        Unfit::Backed(_) | Unfit::ExternalData | Unfit::Encrypted => format!(
            "make one that stands by itself, if you trust it: qemu-img convert -f qcow2 -O qcow2 {file} base.qcow2"
        ),
    }
}

/// What does not fit between a base of so many bytes, the disk, and the overlay that an earlier run
/// has left in `path`.
fn unlike(bytes: u64, disk: &Disk, base: &Base, path: &Path) -> Option<(String, String)> {
    let asked = disk.size_mib.map(|mib| mib << 20);
    if asked.is_some_and(|asked| asked < bytes) {
        let mib = bytes.div_ceil(1 << 20);
        return Some((
            format!("holds a disk of {mib} MiB, more than its `size`"),
            format!("leave `size` out, or write size = \"{mib}MiB\" or more"),
        ));
    }
    if !disk.keep || !path.exists() {
        return None;
    }
    let begin_anew = format!(
        "rm {} begins anew; keep = false does so in each run",
        path.display()
    );
    let overlay = match disk_image::qcow2(path) {
        Ok(overlay) => overlay,
        Err(why) => {
            return Some((
                format!("lies below {}, which {why}", path.display()),
                begin_anew,
            ));
        }
    };
    let (file, format) = (base.file.display().to_string(), base.format.to_string());
    if overlay.backing.as_ref() != Some(&file) || overlay.backing_format.as_ref() != Some(&format) {
        let was = overlay.backing.unwrap_or_default();
        let why = format!("is not what its kept disk lies over: {was}");
        return Some((why, begin_anew));
    }
    let changed = fs::metadata(&base.file).and_then(|base| base.modified());
    let made = fs::metadata(path).and_then(|overlay| overlay.created());
    if let (Ok(changed), Ok(made)) = (changed, made)
        && changed > made
    {
        let why = "has changed since its kept disk was laid over it".to_owned();
        return Some((why, begin_anew));
    }
    let asked = asked.unwrap_or(bytes);
    if overlay.size < asked {
        let why = "lies below a kept disk that is smaller than its `size`, and does not grow";
        return Some((why.to_owned(), begin_anew));
    }
    None
}

/// CPU models that QEMU does not have.
fn cpus(lab: &Lab, tools: &Tools) -> Vec<Problem> {
    let asked = |node: &&Node| node.cpu != "max";
    let mut known = None;
    let mut problems = Vec::new();
    for node in lab.nodes.iter().filter(asked) {
        let model = node.cpu.split(',').next().unwrap_or_default();
        let problem = |what: String, hint: &str| Problem {
            message: format!("node `{}`: {what}", node.name),
            hint: Some(hint.to_owned()),
        };
        if model == "host" && tools.accelerator(node.accel) == Accelerator::Tcg {
            problems.push(problem(
                "cpu \"host\" needs KVM, and it runs under TCG".to_owned(),
                "cpu = \"max\" is all that either has",
            ));
            continue;
        }
        let known = known.get_or_insert_with(|| models(&tools.qemu));
        if !known.is_empty() && !known.contains(model) {
            problems.push(problem(
                format!("QEMU has no CPU model \"{model}\""),
                "qemu-system-x86_64 -cpu help lists them",
            ));
        }
    }
    problems
}

/// The CPU models of QEMU; none when it does not say.
fn models(qemu: &Path) -> BTreeSet<String> {
    let said = Command::new(qemu)
        .args(["-cpu", "help"])
        .env_clear()
        .output();
    let Ok(said) = said else {
        return BTreeSet::new();
    };
    let text = String::from_utf8_lossy(&said.stdout);
    let lines = text.lines().take_while(|line| !line.is_empty());
    lines
        .filter_map(|line| {
            line.trim_start()
                .strip_prefix("x86 ")
                .or(Some(line.trim_start()))
        })
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}
