use longshore_sys::bpf::Instruction;
use proptest::prelude::*;

use super::{Access, DEFAULT_RULES, Devices, Policy, Rule, Type, program, rules};
use crate::spec::{Device, DeviceRule};

/// The definition: the last rule that matches decides, for each kind of access by itself.
fn allowed(rules: &[Rule], device: Devices, access: Access) -> bool {
    [Access::READ, Access::WRITE, Access::MKNOD].into_iter().filter(|bit| !access.and(*bit).is_empty()).all(
        |bit| {
            let decides = |rule: &&Rule| rule.devices.cover(device) && !rule.access.and(bit).is_empty();
            rules.iter().rev().find(decides).is_some_and(|rule| rule.allow)
        },
    )
}

/// The few instructions that device programs are made of.
fn run(program: &[Instruction], device: Devices, access: Access) -> u32 {
    let kind = if device.kind == Type::Block { 1 } else { 2 };
    let context =
        [u32::from(access.bits()) << 16 | kind, device.major.unwrap_or(0), device.minor.unwrap_or(0)];
    let mut registers = [0_u32; 6];
    let mut at = 0;
    loop {
        let Instruction { code, registers: pair, offset, immediate } = program[at];
        let (to, from) = (usize::from(pair & 15), usize::from(pair >> 4));
        let immediate = immediate.cast_unsigned();
        at += 1;
        let jumps = match code {
            0x61 => {
                registers[to] = context[usize::try_from(offset).unwrap() / 4];
                false
            }
            0xb4 => {
                registers[to] = immediate;
                false
            }
            0xbc => {
                registers[to] = registers[from];
                false
            }
            0x54 => {
                registers[to] &= immediate;
                false
            }
            0x74 => {
                registers[to] >>= immediate;
                false
            }
            0x56 => registers[to] != immediate,
            0x46 => registers[to] & immediate != 0,
            0x05 => true,
            0x95 => return registers[0],
            other => panic!("instruction {other:#x} at {at}"),
        };
        if jumps {
            at += usize::try_from(offset).unwrap();
        }
    }
}

fn spec(json: &str) -> Vec<DeviceRule> {
    serde_json::from_str(json).unwrap()
}

fn device(kind: Type, major: u32, minor: u32) -> Devices {
    Devices { kind, major: Some(major), minor: Some(minor) }
}

/// Docker's list of an ordinary container.
const DOCKER: &str = r#"[
    {"allow":false,"access":"rwm"},
    {"allow":true,"type":"c","major":1,"minor":5,"access":"rwm"},
    {"allow":true,"type":"c","major":1,"minor":3,"access":"rwm"},
    {"allow":false,"type":"c","major":10,"minor":229,"access":"rwm"}
]"#;

#[test]
fn an_unlisted_device_is_closed() {
    for list in ["[]", DOCKER] {
        let rules = rules(&spec(list), &[]).unwrap();
        let (policy, program) = (Policy::of(&rules).unwrap(), program(&rules));
        for (device, access, expected) in [
            (device(Type::Block, 8, 0), Access::READ, false),
            (device(Type::Block, 8, 0), Access::MKNOD, true),
            (device(Type::Char, 1, 1), Access::READ, false),
            (device(Type::Char, 10, 229), Access::WRITE, false),
            (device(Type::Char, 1, 3), Access::ALL, true),
            (device(Type::Char, 136, 77), Access::ALL, true),
        ] {
            assert_eq!(policy.permits(device, access), expected, "{device} {access}");
            assert_eq!(run(&program, device, access) == 1, expected, "{device} {access}");
        }
    }
}

#[test]
fn writes_of_a_fresh_cgroup() {
    let list = rules(&spec(r#"[{"allow":true,"type":"b","major":8,"minor":-1,"access":"r"}]"#), &[]).unwrap();
    let writes: Vec<String> = Policy::of(&list).unwrap().fresh().map(|(f, v)| format!("{f} {v}")).collect();
    assert_eq!(writes.len(), 1 + 1 + DEFAULT_RULES.len());
    assert_eq!(writes[0], "devices.deny a");
    assert!(writes.contains(&"devices.allow b 8:* r".to_owned()), "{writes:?}");
    assert!(writes.contains(&"devices.allow c 136:* rwm".to_owned()), "{writes:?}");

    let all = rules(&spec(r#"[{"allow":true,"access":"rwm"}]"#), &[]).unwrap();
    let writes: Vec<_> = Policy::of(&all).unwrap().fresh().collect();
    assert_eq!(writes, [("devices.allow", "a".to_owned())]);
}

#[test]
fn a_change_writes_the_difference_and_allows_first() {
    let policy = |list: &str| Policy::of(&rules(&spec(list), &[]).unwrap()).unwrap();
    let before = policy(r#"[{"allow":true,"type":"c","major":4,"minor":1,"access":"rw"}]"#);
    let after = policy(r#"[{"allow":true,"type":"c","major":4,"minor":2,"access":"r"}]"#);
    let list: String = before.fresh().skip(1).map(|(_, value)| value + "\n").collect();
    assert_eq!(
        after.from(&list),
        [("devices.allow", "c 4:2 r".to_owned()), ("devices.deny", "c 4:1 rw".to_owned())]
    );
    assert_eq!(before.from(&list), []);
    assert_eq!(after.from("a *:* rwm\n"), after.fresh().collect::<Vec<_>>());
}

#[test]
fn a_node_of_the_spec_takes_the_default_rule_away() {
    let node = Device { path: "/dev/zero".into(), ..Device::default() };
    let list = rules(&[], &[node]).unwrap();
    assert!(!allowed(&list, device(Type::Char, 1, 5), Access::READ));
    assert!(allowed(&list, device(Type::Char, 1, 3), Access::READ));
}

#[test]
fn bad_rules_name_their_field() {
    for (list, field) in [
        (r#"[{"allow":true}]"#, "devices[0].access"),
        (r#"[{"allow":true,"access":"rx"}]"#, "devices[0].access"),
        (r#"[{"access":"r"},{"type":"q","access":"r"}]"#, "devices[1].type"),
        (r#"[{"type":"c","major":-5,"access":"r"}]"#, "devices[0].major"),
    ] {
        let message = rules(&spec(list), &[]).unwrap_err().to_string();
        assert!(message.starts_with(field), "{message}");
    }
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let number = prop_oneof![Just(None), (0..3_u32).prop_map(Some)];
    (any::<bool>(), any::<bool>(), number.clone(), number, 1..8_u8).prop_map(
        |(allow, block, major, minor, access)| Rule {
            allow,
            devices: Devices { kind: if block { Type::Block } else { Type::Char }, major, minor },
            access: Access(access),
        },
    )
}

proptest! {
    #[test]
    fn program_and_lists_say_what_the_rules_say(rules in prop::collection::vec(any_rule(), 0..8)) {
        let (program, policy) = (program(&rules), Policy::of(&rules));
        for kind in [Type::Block, Type::Char] {
            for (major, minor) in (0..4).flat_map(|major| (0..4).map(move |minor| (major, minor))) {
                for access in 1..8 {
                    let (device, access) = (device(kind, major, minor), Access(access));
                    let expected = allowed(&rules, device, access);
                    prop_assert_eq!(run(&program, device, access) == 1, expected);
                    // Lists ask for one entry that has all of the access; each kind by itself is exact.
                    let single = access.bits().is_power_of_two();
                    if let (Ok(policy), true) = (&policy, single) {
                        prop_assert_eq!(policy.permits(device, access), expected);
                    }
                }
            }
        }
    }
}
