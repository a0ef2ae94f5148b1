//! The modules of a crate, and the imports between them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use super::source::{self, Import};

/// The path of a module; empty for the crate root.
type Module = Vec<String>;

struct Parsed {
    code: String,
    children: Vec<String>,
    imports: Vec<Import>,
}

pub(super) struct Crate(BTreeMap<Module, Parsed>);

/// An import from one child of a module to another one, with the modules that it connects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrow {
    pub(super) from: String,
    pub(super) to: String,
    importer: String,
    imported: String,
}

impl fmt::Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            from,
            to,
            importer,
            imported,
        } = self;
        write!(f, "{from} -> {to} ({importer} imports {imported})")
    }
}

impl Crate {
    /// Reads a crate from its root, with the modules that it declares.
    pub(super) fn read(root: &Path, read: &impl Fn(&Path) -> Option<String>) -> Self {
        let mut modules = BTreeMap::new();
        let directory = root.parent().unwrap_or(Path::new("")).to_owned();
        let mut pending = vec![(Module::new(), root.to_owned(), directory)];
        while let Some((module, file, directory)) = pending.pop() {
            let text = read(&file).unwrap_or_else(|| panic!("{} is missing", file.display()));
            let code = source::code(&text);
            let mut children = source::declared(&code);
            children.retain(|child| {
                let places = [
                    directory.join(format!("{child}.rs")),
                    directory.join(child).join("mod.rs"),
                ];
                let Some(place) = places.into_iter().find(|place| read(place).is_some()) else {
                    return false;
                };
                let path = module.iter().chain([child]).cloned().collect();
                pending.push((path, place, directory.join(child)));
                true
            });
            let parsed = Parsed {
                imports: source::imports(&code),
                children,
                code,
            };
            modules.insert(module, parsed);
        }
        Self(modules)
    }

    /// The code of each module.
    pub(super) fn codes(&self) -> impl Iterator<Item = (&Module, &str)> {
        self.0
            .iter()
            .map(|(module, parsed)| (module, parsed.code.as_str()))
    }

    /// A path as seen in `module`, from the crate root on; `None` for one that leads out of the crate.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        let mut base = match first.as_str() {
            "crate" => Module::new(),
            "self" => module.clone(),
            "super" => module[..module.len().checked_sub(1)?].to_vec(),
            child if self.0[module].children.iter().any(|found| found == child) => {
                [module.as_slice(), &[child.to_owned()]].concat()
            }
            _ => return None,
        };
        for name in rest {
            if name == "super" {
                base.pop()?;
            } else {
                base.push(name.clone());
            }
        }
        Some(base)
    }

    /// The module that defines what an absolute path names.
    fn definer(&self, path: &[String], depth: usize) -> Module {
        let mut module = Module::new();
        for (at, name) in path.iter().enumerate() {
            let child = [module.as_slice(), std::slice::from_ref(name)].concat();
            if self.0.contains_key(&child) {
                module = child;
                continue;
            }
            let reexport = self.0[&module]
                .imports
                .iter()
                .find(|import| import.is_reexport && import.name == *name);
            let target = reexport.and_then(|import| self.absolute(&module, &import.path));
            return match target {
                Some(target) if depth < 10 => {
                    let target = [&target[..], &path[at + 1..]].concat();
                    self.definer(&target, depth + 1)
                }
                _ => module,
            };
        }
        module
    }

    /// The modules that define what each module imports.
    fn imported(&self) -> BTreeSet<(Module, Module)> {
        let mut pairs = BTreeSet::new();
        for (module, parsed) in &self.0 {
            let paths = parsed.imports.iter().map(|import| import.path.clone());
            for path in paths.chain(source::inline_paths(&parsed.code)) {
                if let Some(path) = self.absolute(module, &path) {
                    pairs.insert((module.clone(), self.definer(&path, 0)));
                }
            }
        }
        pairs
    }

    /// The arrows between the children of each module, and from modules to the crate root that uses them.
    fn arrows(&self) -> BTreeMap<Module, BTreeSet<Arrow>> {
        let imported = self.imported();
        let mut arrows: BTreeMap<Module, BTreeSet<Arrow>> = BTreeMap::new();
        for (from, to) in &imported {
            let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
            let parent = from[..common].to_vec();
            let child = |module: &Module| module[..=common].join("::");
            let arrow = |from: String, to: String, importer: &Module, imported: &Module| Arrow {
                from,
                to,
                importer: name(importer),
                imported: name(imported),
            };
            let mut add = |arrow| arrows.entry(parent.clone()).or_default().insert(arrow);
            if from.len() > common && to.len() > common {
                add(arrow(child(from), child(to), from, to));
            } else if to.is_empty() && !from.is_empty() {
                let is_used = |(user, used): &&(Module, Module)| {
                    user.is_empty() && used.first() == from.first()
                };
                if let Some((root, used)) = imported.iter().find(is_used) {
                    add(arrow(child(from), ROOT.to_owned(), from, to));
                    add(arrow(ROOT.to_owned(), child(from), root, used));
                }
            }
        }
        arrows
    }

    /// The arrows between the modules that the root declares.
    pub(super) fn arrows_at_top(&self) -> BTreeSet<Arrow> {
        self.arrows().remove(&Module::new()).unwrap_or_default()
    }

    /// Each cycle, as the arrows between the modules that reach each other.
    pub(super) fn cycles(&self) -> Vec<String> {
        self.arrows().values().flat_map(cycles_among).collect()
    }
}

const ROOT: &str = "the crate root";

fn name(module: &Module) -> String {
    if module.is_empty() {
        ROOT.to_owned()
    } else {
        module.join("::")
    }
}

fn cycles_among(arrows: &BTreeSet<Arrow>) -> Vec<String> {
    let mut reached: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for arrow in arrows {
        reached.entry(&arrow.from).or_default().insert(&arrow.to);
    }
    loop {
        let before: usize = reached.values().map(BTreeSet::len).sum();
        for (from, targets) in reached.clone() {
            let further = targets.iter().filter_map(|target| reached.get(target));
            let further: BTreeSet<&str> = further.flatten().copied().collect();
            reached.entry(from).or_default().extend(further);
        }
        if reached.values().map(BTreeSet::len).sum::<usize>() == before {
            break;
        }
    }
    let reaches = |from: &str, to: &str| reached.get(from).is_some_and(|found| found.contains(to));
    let mut cycles: BTreeMap<Vec<&str>, Vec<String>> = BTreeMap::new();
    for arrow in arrows
        .iter()
        .filter(|arrow| reaches(&arrow.to, &arrow.from))
    {
        let circle = reached
            .keys()
            .filter(|other| reaches(&arrow.from, other) && reaches(other, &arrow.from));
        cycles
            .entry(circle.copied().collect())
            .or_default()
            .push(arrow.to_string());
    }
    cycles
        .into_iter()
        .map(|(circle, arrows)| format!("{}: {}", circle.join(", "), arrows.join("; ")))
        .collect()
}
