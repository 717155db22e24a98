//! Which packages files came in, with their versions. Names of packages that bring what is missing
//! are [`packages`](super::packages)'.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::packages::Manager;

/// The packages of `files`, such as `seabios 1.16.2-1`; a file of no package is left out.
#[must_use]
pub fn of(manager: Manager, files: &[PathBuf]) -> BTreeMap<PathBuf, String> {
    match manager {
        Manager::Apt => of_dpkg(files),
        Manager::Dnf | Manager::Zypper => {
            let format = "%{NAME} %{VERSION}-%{RELEASE}\n";
            of_each(files, "rpm", &["-qf", "--qf", format], |said| {
                said.to_owned()
            })
        }
        Manager::Pacman => of_each(files, "pacman", &["-Qo"], after_owned_by),
        Manager::Apk => of_each(files, "apk", &["info", "--who-owns"], after_owned_by),
    }
}

/// dpkg has lists of files, and reads them all for each question: it is asked once for all.
fn of_dpkg(files: &[PathBuf]) -> BTreeMap<PathBuf, String> {
    let spelled = files.iter().flat_map(|file| spellings(file));
    let found = said(Command::new("dpkg-query").arg("--search").args(spelled));
    let owners: BTreeMap<&str, &str> = found.lines().filter_map(owner).collect();
    let format = "${binary:Package} ${Version}\n";
    let mut versions = Command::new("dpkg-query");
    versions.args(["--show", "-f", format]);
    let versions = said(versions.args(owners.values()));
    let version = |package: &str| {
        let plain = |name: &str| name.split(':').next().unwrap_or_default().to_owned();
        let mut lines = versions.lines().filter_map(|line| line.split_once(' '));
        let (_, version) = lines.find(|(name, _)| plain(name) == plain(package))?;
        Some(format!("{} {version}", plain(package)))
    };
    let package = |file: &PathBuf| {
        let spelled = spellings(file);
        let mut owners = spelled.iter().filter_map(|path| owners.get(path.to_str()?));
        Some((file.clone(), version(owners.next()?)?))
    };
    files.iter().filter_map(package).collect()
}

/// How dpkg may have a file in its lists: it does not know that `/bin` is a link to `/usr/bin`.
fn spellings(file: &Path) -> Vec<PathBuf> {
    let real = file.canonicalize().ok();
    let mut all = vec![file.to_owned()];
    all.extend(real.filter(|real| real != file));
    let short = all.iter().filter_map(|path| path.strip_prefix("/usr").ok());
    let short: Vec<_> = short.map(|path| Path::new("/").join(path)).collect();
    all.extend(short);
    all
}

/// A file and its package, from a line of `dpkg-query --search`: `ovmf: /usr/share/OVMF/OVMF_CODE.fd`.
fn owner(line: &str) -> Option<(&str, &str)> {
    let (packages, file) = line.split_once(": ")?;
    let package = packages.split(", ").next()?;
    let is_diversion = packages.starts_with("diversion ");
    (!is_diversion).then_some((file, package))
}

fn of_each(
    files: &[PathBuf],
    program: &str,
    options: &[&str],
    package: fn(&str) -> String,
) -> BTreeMap<PathBuf, String> {
    let ask = |file: &PathBuf| {
        let said = said(Command::new(program).args(options).arg(file));
        let line = said.lines().next().filter(|line| !line.is_empty())?;
        Some((file.clone(), package(line)))
    };
    files.iter().filter_map(ask).collect()
}

/// `/usr/bin/sshd is owned by openssh 9.9p1-2`, as pacman and apk say it.
fn after_owned_by(line: &str) -> String {
    let package = line.split_once(" owned by ").map(|(_, package)| package);
    package.unwrap_or(line).to_owned()
}

/// What a command prints; rpm complains there too of files that no package owns, and fails then.
fn said(command: &mut Command) -> String {
    let out = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .env("LC_ALL", "C")
        .output();
    match out {
        // dpkg-query fails when one of many is not found, and prints the others.
        Ok(out) if out.status.success() || out.status.code() == Some(1) => {
            let said = String::from_utf8_lossy(&out.stdout).into_owned();
            match said.contains("is not owned by") {
                true => String::new(),
                false => said,
            }
        }
        Ok(_) | Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::programs::Finder;

    #[test]
    fn lines_of_package_managers_are_read() {
        let line = "openssh-server: /usr/sbin/sshd";
        assert_eq!(owner(line), Some(("/usr/sbin/sshd", "openssh-server")));
        let line = "a, b:amd64: /usr/share/doc";
        assert_eq!(owner(line), Some(("/usr/share/doc", "a")));
        assert_eq!(owner("diversion by dash from: /bin/sh"), None);
        let line = "/usr/bin/sshd is owned by openssh 9.9p1-2";
        assert_eq!(after_owned_by(line), "openssh 9.9p1-2");
    }

    #[test]
    fn the_package_of_a_program_of_this_host_is_told_with_its_version() {
        let finder = Finder::from_env();
        let manager = Manager::detect(&finder).expect("the tests run on a distribution");
        let busybox = finder.program("busybox").unwrap();
        let nowhere = PathBuf::from("/nowhere");
        let told = of(manager, &[busybox.clone(), nowhere]);
        assert_eq!(told.len(), 1, "{told:?}");
        let package = &told[&busybox];
        assert!(package.starts_with("busybox"), "{package}");
        assert!(package.contains(|c: char| c.is_ascii_digit()), "{package}");
    }
}
