use std::path::{Component, Path};

use longshore_runtime::cgroup::Record;

use super::failure::Failure;

/// Moves `record` to cgroups below it, as the values of `exec --cgroup` say: `PATH` for all
/// hierarchies, or `CONTROLLER[,CONTROLLER...]:PATH` for those with the controllers. The cgroups
/// have to exist.
pub(super) fn descend<'a>(record: &mut Record, values: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let mut named: Vec<&str> = Vec::new();
    let mut alone = true;
    for value in values {
        let bad = |reason| Failure::BadSubCgroup { value: value.into(), reason };
        let (controllers, path) = match value.split_once(':') {
            Some((controllers, path)) => (Some(controllers), path),
            None => (None, value),
        };
        let path = Path::new(path.trim_start_matches('/'));
        if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(bad("it leaves the container's cgroup"));
        }
        let Some(controllers) = controllers else {
            if !alone {
                return Err(bad("it has no controller, but others are given"));
            }
            record.groups.iter_mut().for_each(|group| group.path.push(path));
            named.extend([""]);
            alone = false;
            continue;
        };
        for controller in controllers.split(',') {
            if named.contains(&controller) || named.contains(&"") {
                return Err(bad("a controller is given twice"));
            }
            let mut groups = record.groups.iter_mut();
            let group = groups.find(|group| group.controllers.iter().any(|name| name == controller));
            group.ok_or_else(|| bad("the container has no such controller"))?.path.push(path);
            named.push(controller);
        }
        alone = false;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use longshore_runtime::cgroup::Record;
    use serde_json::json;

    use super::descend;

    fn moved(values: &[&str]) -> Result<Vec<String>, String> {
        let mut record: Record = serde_json::from_value(json!({
            "driver": "cgroupfs",
            "groups": [
                { "version": 1, "controllers": ["cpu", "cpuacct"], "path": "/cpu/c" },
                { "version": 1, "controllers": ["memory"], "path": "/memory/c" },
                { "version": 2, "controllers": [], "path": "/unified/c" }
            ]
        }))
        .unwrap();
        descend(&mut record, values.iter().copied()).map_err(|failure| failure.to_string())?;
        Ok(record.groups.iter().map(|group| group.path.display().to_string()).collect())
    }

    #[test]
    fn a_path_is_for_all_or_for_the_controllers_named() {
        let paths = |paths: [&str; 3]| Ok(paths.map(String::from).to_vec());
        assert_eq!(moved(&[]), paths(["/cpu/c", "/memory/c", "/unified/c"]));
        assert_eq!(moved(&["a/b"]), paths(["/cpu/c/a/b", "/memory/c/a/b", "/unified/c/a/b"]));
        assert_eq!(moved(&["memory:/x"]), paths(["/cpu/c", "/memory/c/x", "/unified/c"]));
        assert_eq!(moved(&["memory,cpu:x"]), paths(["/cpu/c/x", "/memory/c/x", "/unified/c"]));
        assert_eq!(moved(&["memory:x", "cpuacct:y"]), paths(["/cpu/c/y", "/memory/c/x", "/unified/c"]));
    }

    #[test]
    fn nothing_leaves_the_containers_cgroup() {
        for (values, reason) in [
            (&["../x"][..], "leaves"),
            (&["memory:a/../../b"], "leaves"),
            (&["blkio:x"], "no such controller"),
            (&["memory:x", "memory:y"], "twice"),
            (&["x", "memory:y"], "twice"),
            (&["memory:y", "x"], "others"),
            (&[":x"], "no such controller"),
        ] {
            let error = moved(values).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
