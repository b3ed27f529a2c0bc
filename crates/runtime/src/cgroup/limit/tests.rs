use super::{Absent, Homes, blkio, compile, cpu, memory};
use crate::{cgroup::layout::Version, spec::Resources};

fn names(list: &str) -> Vec<String> {
    list.split_whitespace().map(str::to_owned).collect()
}

/// `file=value` for each write, `?` before those that may be absent; or the error.
fn compiled(homes: &Homes<'_>, resources: &str) -> Result<Vec<String>, String> {
    let resources: Resources = serde_json::from_str(resources).unwrap();
    let placed = compile(&resources, homes).map_err(|error| error.to_string())?;
    Ok(placed
        .into_iter()
        .map(|placed| {
            let write = placed.write;
            let mark = if write.absent == Absent::Fine { "?" } else { "" };
            let instead =
                write.instead.map(|(file, value)| format!(" or {file}={value}")).unwrap_or_default();
            format!("{mark}{}={}{instead}", write.file, write.value)
        })
        .collect())
}

fn v1(resources: &str) -> Result<Vec<String>, String> {
    let all = names("cpu cpuset memory pids blkio hugetlb rdma net_cls net_prio");
    compiled(&Homes(vec![(Version::V1, &all)]), resources)
}

fn v2(resources: &str) -> Result<Vec<String>, String> {
    let all = names("cpu cpuset memory pids io hugetlb rdma");
    compiled(&Homes(vec![(Version::V2, &all)]), resources)
}

#[test]
fn each_limit_has_its_file_in_both_versions() {
    let rows: &[(&str, &[&str], &[&str])] = &[
        (r#"{"cpu":{"shares":1024}}"#, &["cpu.shares=1024"], &["cpu.weight=100"]),
        (r#"{"cpu":{"shares":0}}"#, &[], &[]),
        (
            r#"{"cpu":{"quota":50000,"period":100000,"burst":1000}}"#,
            &["cpu.cfs_period_us=100000", "cpu.cfs_quota_us=50000", "cpu.cfs_burst_us=1000"],
            &["cpu.max=50000 100000", "cpu.max.burst=1000"],
        ),
        (r#"{"cpu":{"quota":-1}}"#, &["cpu.cfs_quota_us=-1"], &["cpu.max=max 100000"]),
        (r#"{"cpu":{"period":20000}}"#, &["cpu.cfs_period_us=20000"], &["cpu.max=max 20000"]),
        (r#"{"cpu":{"idle":1,"shares":512}}"#, &["cpu.shares=512", "cpu.idle=1"], &["cpu.idle=1"]),
        (
            r#"{"cpu":{"cpus":"0-1","mems":"0"}}"#,
            &["cpuset.cpus=0-1", "cpuset.mems=0"],
            &["cpuset.cpus=0-1", "cpuset.mems=0"],
        ),
        (
            r#"{"memory":{"limit":4096,"swap":8192,"reservation":2048}}"#,
            &[
                "memory.limit_in_bytes=4096",
                "memory.memsw.limit_in_bytes=8192",
                "memory.soft_limit_in_bytes=2048",
            ],
            &["memory.swap.max=4096", "memory.max=4096", "memory.low=2048"],
        ),
        (
            r#"{"memory":{"limit":-1}}"#,
            &["memory.limit_in_bytes=-1", "?memory.memsw.limit_in_bytes=-1"],
            &["?memory.swap.max=max", "memory.max=max"],
        ),
        (
            r#"{"memory":{"limit":4096,"swap":4096}}"#,
            &["memory.limit_in_bytes=4096", "memory.memsw.limit_in_bytes=4096"],
            &["?memory.swap.max=0", "memory.max=4096"],
        ),
        (
            r#"{"memory":{"kernel":4096,"disableOOMKiller":false}}"#,
            &["?memory.kmem.limit_in_bytes=4096"],
            &[],
        ),
        (r#"{"pids":{"limit":10}}"#, &["pids.max=10"], &["pids.max=10"]),
        (r#"{"pids":{"limit":0}}"#, &["pids.max=max"], &["pids.max=max"]),
        (r#"{"pids":{"limit":-1}}"#, &["pids.max=max"], &["pids.max=max"]),
        (
            r#"{"blockIO":{"weight":500}}"#,
            &["blkio.weight=500 or blkio.bfq.weight=500"],
            &["io.bfq.weight=500 or io.weight=4950"],
        ),
        (
            r#"{"blockIO":{"weightDevice":[{"major":8,"minor":0,"weight":10}]}}"#,
            &["blkio.weight_device=8:0 10 or blkio.bfq.weight_device=8:0 10"],
            &["io.bfq.weight=8:0 10 or io.weight=8:0 1"],
        ),
        (
            r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":9}],"throttleWriteIOPSDevice":[{"major":8,"minor":16,"rate":0}]}}"#,
            &["blkio.throttle.read_bps_device=8:0 9", "blkio.throttle.write_iops_device=8:16 0"],
            &["io.max=8:0 rbps=9", "io.max=8:16 wiops=max"],
        ),
        (
            r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4096}]}"#,
            &["hugetlb.2MB.limit_in_bytes=4096", "?hugetlb.2MB.rsvd.limit_in_bytes=4096"],
            &["hugetlb.2MB.max=4096", "?hugetlb.2MB.rsvd.max=4096"],
        ),
        (
            r#"{"rdma":{"mlx5":{"hcaHandles":3,"hcaObjects":9}}}"#,
            &["rdma.max=mlx5 hca_handle=3 hca_object=9"],
            &["rdma.max=mlx5 hca_handle=3 hca_object=9"],
        ),
    ];
    for (resources, one, two) in rows {
        assert_eq!(v1(resources).unwrap(), *one, "{resources}");
        assert_eq!(v2(resources).unwrap(), *two, "{resources}");
    }
}

#[test]
fn what_version_1_alone_can_hold_is_an_error_in_version_2() {
    for (resources, file, field) in [
        (r#"{"cpu":{"realtimeRuntime":1000}}"#, "cpu.rt_runtime_us=1000", "cpu.realtimeRuntime"),
        (r#"{"cpu":{"realtimePeriod":1000}}"#, "cpu.rt_period_us=1000", "cpu.realtimePeriod"),
        (r#"{"memory":{"kernelTCP":4096}}"#, "memory.kmem.tcp.limit_in_bytes=4096", "memory.kernelTCP"),
        (r#"{"memory":{"swappiness":60}}"#, "memory.swappiness=60", "memory.swappiness"),
        (r#"{"memory":{"disableOOMKiller":true}}"#, "memory.oom_control=1", "memory.disableOOMKiller"),
        (r#"{"blockIO":{"leafWeight":100}}"#, "blkio.leaf_weight=100", "blockIO.leafWeight"),
        (r#"{"network":{"classID":5}}"#, "net_cls.classid=5", "network.classID"),
        (
            r#"{"network":{"priorities":[{"name":"eth0","priority":5}]}}"#,
            "net_prio.ifpriomap=eth0 5",
            "network.priorities",
        ),
    ] {
        assert_eq!(v1(resources).unwrap(), [file]);
        let message = v2(resources).unwrap_err();
        assert!(message.starts_with(field), "{resources}: {message}");
    }
    assert!(v1(r#"{"unified":{"memory.high":"1"}}"#).unwrap_err().starts_with("unified[memory.high]"));
    assert_eq!(
        v2(r#"{"unified":{"memory.high":"1","io.max":"8:0 rbps=1\n8:1 rbps=2\n"}}"#).unwrap(),
        ["io.max=8:0 rbps=1", "io.max=8:1 rbps=2", "memory.high=1"]
    );
}

#[test]
fn bad_values_name_their_field() {
    for (resources, field) in [
        (r#"{"cpu":{"shares":1}}"#, "cpu.shares"),
        (r#"{"cpu":{"cpus":"0;1"}}"#, "cpu.cpus"),
        (r#"{"memory":{"limit":-2}}"#, "memory.limit"),
        (r#"{"memory":{"swappiness":101}}"#, "memory.swappiness"),
        (r#"{"blockIO":{"weight":9}}"#, "blockIO.weight"),
        (r#"{"hugepageLimits":[{"pageSize":"../2MB","limit":1}]}"#, "hugepageLimits.pageSize"),
        (r#"{"rdma":{"a b":{}}}"#, "rdma"),
    ] {
        let message = v1(resources).unwrap_err();
        assert!(message.starts_with(field), "{resources}: {message}");
    }
    for (resources, field) in [
        (r#"{"memory":{"limit":4096,"swap":2048}}"#, "memory.swap"),
        (r#"{"memory":{"swap":2048}}"#, "memory.swap"),
        (r#"{"unified":{"../x.y":"1"}}"#, "unified"),
        (r#"{"unified":{"misc.max":"1"}}"#, "unified[misc.max]"),
        (r#"{"unified":{"cgroup.procs":"1"}}"#, "unified[cgroup.procs]"),
    ] {
        let message = v2(resources).unwrap_err();
        assert!(message.starts_with(field), "{resources}: {message}");
    }
}

#[test]
fn a_limit_without_its_controller_is_an_error() {
    let few = names("devices");
    for resources in [r#"{"pids":{"limit":1}}"#, r#"{"memory":{"limit":1}}"#, r#"{"blockIO":{"weight":10}}"#]
    {
        let message = compiled(&Homes(vec![(Version::V1, &few)]), resources).unwrap_err();
        assert!(message.contains("cannot be held: cgroup controller"), "{message}");
    }
}

#[test]
fn a_hybrid_host_holds_each_limit_where_its_controller_is() {
    let (one, two) = (names("memory"), names("hugetlb"));
    let homes = Homes(vec![(Version::V1, &one), (Version::V2, &two)]);
    let resources = r#"{"memory":{"limit":4096},"hugepageLimits":[{"pageSize":"2MB","limit":1}]}"#;
    assert_eq!(
        compiled(&homes, resources).unwrap(),
        ["memory.limit_in_bytes=4096", "hugetlb.2MB.max=1", "?hugetlb.2MB.rsvd.max=1"]
    );
}

#[test]
fn weights_of_version_2() {
    for (shares, weight) in
        [(0, 1), (2, 1), (3, 2), (512, 59), (1024, 100), (2048, 174), (262_144, 10_000), (u64::MAX, 10_000)]
    {
        assert_eq!(cpu::weight(shares), weight, "{shares}");
    }
    for (blkio, io) in [(10, 1), (100, 910), (500, 4950), (1000, 10_000)] {
        assert_eq!(blkio::io_weight(blkio), io, "{blkio}");
    }
}

#[test]
fn swap_of_version_2() {
    for (limit, swap, alone) in [
        (None, None, None),
        (Some(10), None, None),
        (Some(10), Some(30), Some(20)),
        (Some(10), Some(10), Some(0)),
        (Some(10), Some(-1), Some(-1)),
        (Some(-1), None, Some(-1)),
        (Some(-1), Some(30), Some(30)),
        (None, Some(-1), Some(-1)),
    ] {
        assert_eq!(memory::swap_alone(limit, swap).unwrap(), alone, "{limit:?} {swap:?}");
    }
    assert!(memory::swap_alone(None, Some(1)).is_err());
    assert!(memory::swap_alone(Some(10), Some(9)).is_err());
}
