//! The controllers with one or two files: pids, hugetlb, rdma, net_cls, net_prio; and `unified`.

use std::fmt::Write as _;

use super::{Absent, CgroupError, Home, Order, Sheet, Version, bad_value, only_v1, unsupported};
use crate::spec::{HugepageLimit, Network, Rdma, Resources};

pub(super) fn compile(resources: &Resources, sheet: &mut Sheet<'_>) -> Result<(), CgroupError> {
    if let Some(limit) = resources.pids.as_ref().and_then(|pids| pids.limit) {
        let home = sheet.home("pids", "pids.limit")?;
        // Nothing could run under a limit of 0. Older producers write it for "none", and so runc 1.1
        // and youki read it (runc 1.3 makes it 1).
        let value = if limit <= 0 { "max".to_owned() } else { limit.to_string() };
        sheet.put(home, "pids.limit", "pids.max", value);
    }
    for limit in &resources.hugepage_limits {
        hugepages(limit, sheet)?;
    }
    for (device, limits) in &resources.rdma {
        rdma(device, limits, sheet)?;
    }
    if let Some(network) = &resources.network {
        self::network(network, sheet)?;
    }
    unified(resources, sheet)
}

fn hugepages(limit: &HugepageLimit, sheet: &mut Sheet<'_>) -> Result<(), CgroupError> {
    const FIELD: &str = "hugepageLimits.pageSize";
    let size = &limit.page_size;
    let digits = size.strip_suffix("KB").or(size.strip_suffix("MB")).or(size.strip_suffix("GB"));
    if !digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit())) {
        return Err(bad_value(FIELD, size, "a size like 64KB, 2MB or 1GB"));
    }
    let field = format!("hugepageLimits[{size}]");
    let home = sheet.home("hugetlb", &field)?;
    let end = if home.version == Version::V1 { "limit_in_bytes" } else { "max" };
    sheet.put(home, &field, format!("hugetlb.{size}.{end}"), limit.limit);
    // Reservations are counted apart since Linux 5.7.
    sheet.put(home, &field, format!("hugetlb.{size}.rsvd.{end}"), limit.limit).absent = Absent::Fine;
    Ok(())
}

fn rdma(device: &str, limits: &Rdma, sheet: &mut Sheet<'_>) -> Result<(), CgroupError> {
    let field = format!("rdma[{device}]");
    if device.is_empty() || device.contains(char::is_whitespace) {
        return Err(bad_value("rdma", device, "the name of a device"));
    }
    let home = sheet.home("rdma", &field)?;
    let mut value = device.to_owned();
    for (name, limit) in [("hca_handle", limits.hca_handles), ("hca_object", limits.hca_objects)] {
        if let Some(limit) = limit {
            write!(value, " {name}={limit}").ok();
        }
    }
    sheet.put(home, &field, "rdma.max", value);
    Ok(())
}

fn network(network: &Network, sheet: &mut Sheet<'_>) -> Result<(), CgroupError> {
    if let Some(class) = network.class_id.filter(|class| *class != 0) {
        let home = sheet.home("net_cls", "network.classID")?;
        only_v1(home, "network.classID")?;
        sheet.put(home, "network.classID", "net_cls.classid", class);
    }
    for priority in &network.priorities {
        const FIELD: &str = "network.priorities";
        let home = sheet.home("net_prio", FIELD)?;
        only_v1(home, FIELD)?;
        if priority.name.contains(char::is_whitespace) {
            return Err(bad_value(FIELD, &priority.name, "the name of an interface"));
        }
        sheet.put(home, FIELD, "net_prio.ifpriomap", format!("{} {}", priority.name, priority.priority));
    }
    Ok(())
}

/// The spec's own files of version 2, a write per line.
fn unified(resources: &Resources, sheet: &mut Sheet<'_>) -> Result<(), CgroupError> {
    for (file, value) in &resources.unified {
        let field = format!("unified[{file}]");
        let Some(index) = sheet.homes.unified() else {
            return Err(unsupported(&field, "the host has no cgroup v2"));
        };
        let Some((controller, _)) = file.split_once('.').filter(|_| !file.contains('/')) else {
            return Err(bad_value("unified", file, "a file name like controller.parameter"));
        };
        let available =
            controller == "cgroup" || sheet.homes.0[index].1.iter().any(|name| name == controller);
        if !available {
            return Err(CgroupError::NoController { field, controller: controller.to_owned() });
        }
        // These move processes or children out of their limits, or undo the runtime's own work.
        if matches!(file.as_str(), "cgroup.procs" | "cgroup.threads" | "cgroup.kill" | "cgroup.freeze") {
            return Err(unsupported(&field, "the runtime itself writes that file"));
        }
        let home = Home { index, version: Version::V2, controller };
        for line in value.lines().filter(|line| !line.is_empty()) {
            sheet.put(home, &field, file.clone(), line).order = Order::Again;
        }
    }
    Ok(())
}
