//! A configuration: directives in order, checked together.

use std::collections::BTreeSet;
use std::fmt;

use crate::Directive;
use crate::error::ConfigError;
use crate::quote;

/// A configuration that dnsmasq's syntax check accepts.
///
/// Made by [`Config::builder`] or by parsing text; [`Display`](fmt::Display) writes the text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    directives: Vec<Directive>,
}

impl Config {
    /// Starts an empty configuration.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Returns the directives in the order in which they are written.
    pub fn directives(&self) -> &[Directive] {
        &self.directives
    }

    /// Goes on building from here.
    pub fn into_builder(self) -> Builder {
        Builder {
            directives: self.directives,
        }
    }
}

impl fmt::Display for Config {
    /// Writes one directive per line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.directives
            .iter()
            .try_for_each(|directive| writeln!(f, "{directive}"))
    }
}

/// Directives that have not been checked together yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "call `build` to get the configuration"]
pub struct Builder {
    directives: Vec<Directive>,
}

impl Builder {
    /// Adds a directive at the end, in a chain.
    pub fn with(mut self, directive: impl Into<Directive>) -> Self {
        self.push(directive);
        self
    }

    /// Adds directives at the end, in a chain.
    pub fn with_all<D: Into<Directive>>(mut self, directives: impl IntoIterator<Item = D>) -> Self {
        self.directives
            .extend(directives.into_iter().map(Into::into));
        self
    }

    /// Adds a directive at the end, in a loop.
    pub fn push(&mut self, directive: impl Into<Directive>) -> &mut Self {
        self.directives.push(directive.into());
        self
    }

    /// Returns the names of the directives so far.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.directives.iter().map(Directive::name)
    }

    fn last(&self, wanted: &Directive) -> Option<usize> {
        self.directives.iter().rposition(|found| found == wanted)
    }

    /// Checks the directives together.
    ///
    /// # Errors
    /// Refuses an IPv4 address reserved twice, a directive given twice that dnsmasq takes
    /// once, `bind-interfaces` beside `bind-dynamic`, several `resolv-file` beside `no-poll`,
    /// and a directive that does not fit in a line.
    pub fn build(self) -> Result<Config, ConfigError> {
        let (mut reserved, mut unique) = (BTreeSet::new(), BTreeSet::new());
        for (index, directive) in self.directives.iter().enumerate() {
            let name = directive.name();
            if let Directive::DhcpHost(host) = directive {
                let twice = |address: &_| !reserved.insert(*address);
                if let Some(address) = host.reserved().filter(twice) {
                    return Err(ConfigError::DuplicateAddress { address, index });
                }
            }
            if directive.is_unique() && !unique.insert(name) {
                return Err(ConfigError::Repeated { name, index });
            }
            let length = directive.to_string().len();
            if length > quote::LINE_MAX {
                return Err(ConfigError::LineTooLong {
                    name,
                    length,
                    index,
                });
            }
        }
        if let (Some(one), Some(other)) = (
            self.last(&Directive::BindInterfaces),
            self.last(&Directive::BindDynamic),
        ) {
            let index = one.max(other);
            return Err(ConfigError::TwoBindModes { index });
        }
        let is_resolv = |directive: &Directive| matches!(directive, Directive::ResolvFile(_));
        let mut resolv = (0..).zip(&self.directives).filter(|(_, d)| is_resolv(d));
        resolv.next();
        if let (Some((second, _)), Some(poll), None) = (
            resolv.last(),
            self.last(&Directive::NoPoll),
            self.last(&Directive::NoResolv),
        ) {
            let index = second.max(poll);
            return Err(ConfigError::SeveralResolvFiles { index });
        }
        Ok(Config {
            directives: self.directives,
        })
    }
}

impl<D: Into<Directive>> Extend<D> for Builder {
    fn extend<T: IntoIterator<Item = D>>(&mut self, directives: T) {
        self.directives
            .extend(directives.into_iter().map(Into::into));
    }
}
