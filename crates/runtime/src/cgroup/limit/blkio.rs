use super::{CgroupError, Sheet, Version, bad_value, only_v1};
use crate::spec::{BlockIo, BlockIoThrottle, BlockIoWeight};

const WEIGHT: &str = "blockIO.weight";
const LEAF_WEIGHT: &str = "blockIO.leafWeight";
const WEIGHT_DEVICE: &str = "blockIO.weightDevice";

pub(super) fn compile(io: &BlockIo, sheet: &mut Sheet<'_>) -> Result<(), CgroupError> {
    if let Some(weight) = set(WEIGHT, io.weight)? {
        let home = sheet.block_home(WEIGHT)?;
        let [(file, value), instead] = weight_files(home.version, weight, None);
        sheet.put(home, WEIGHT, file, value).instead = Some(instead);
    }
    if let Some(weight) = set(LEAF_WEIGHT, io.leaf_weight)? {
        let home = sheet.block_home(LEAF_WEIGHT)?;
        only_v1(home, LEAF_WEIGHT)?;
        sheet.put(home, LEAF_WEIGHT, "blkio.leaf_weight", weight);
    }
    for device in &io.weight_device {
        weight_device(device, sheet)?;
    }
    for (field, devices, v1, v2) in [
        ("blockIO.throttleReadBpsDevice", &io.throttle_read_bps_device, "read_bps", "rbps"),
        ("blockIO.throttleWriteBpsDevice", &io.throttle_write_bps_device, "write_bps", "wbps"),
        ("blockIO.throttleReadIOPSDevice", &io.throttle_read_iops_device, "read_iops", "riops"),
        ("blockIO.throttleWriteIOPSDevice", &io.throttle_write_iops_device, "write_iops", "wiops"),
    ] {
        for device in devices {
            throttle(field, device, v1, v2, sheet)?;
        }
    }
    Ok(())
}

/// A weight; 0 leaves it as it is.
fn set(field: &str, weight: Option<u16>) -> Result<Option<u16>, CgroupError> {
    match weight {
        None | Some(0) => Ok(None),
        Some(10..=1000) => Ok(weight),
        Some(weight) => Err(bad_value(field, weight, "10 to 1000")),
    }
}

fn number(major: i64, minor: i64) -> String {
    format!("{major}:{minor}")
}

/// The two files that may hold a weight, by preference.
fn weight_files(version: Version, weight: u16, device: Option<&str>) -> [(String, String); 2] {
    let value = |weight: u64| device.map_or(weight.to_string(), |device| format!("{device} {weight}"));
    let suffix = if device.is_some() { "_device" } else { "" };
    match version {
        Version::V1 => [
            (format!("blkio.weight{suffix}"), value(weight.into())),
            (format!("blkio.bfq.weight{suffix}"), value(weight.into())),
        ],
        Version::V2 => [
            ("io.bfq.weight".to_owned(), value(weight.into())),
            ("io.weight".to_owned(), value(io_weight(weight))),
        ],
    }
}

/// `io.weight` for version 1's weight: 10 to 1000 become 1 to 10000, linearly (as runc and systemd).
pub(super) fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight.clamp(10, 1000)) - 10) * 9999 / 990
}

fn weight_device(device: &BlockIoWeight, sheet: &mut Sheet<'_>) -> Result<(), CgroupError> {
    let name = number(device.major, device.minor);
    if let Some(weight) = set(WEIGHT_DEVICE, device.weight)? {
        let home = sheet.block_home(WEIGHT_DEVICE)?;
        let [(file, value), instead] = weight_files(home.version, weight, Some(&name));
        sheet.put(home, WEIGHT_DEVICE, file, value).instead = Some(instead);
    }
    if let Some(weight) = set(WEIGHT_DEVICE, device.leaf_weight)? {
        let home = sheet.block_home(WEIGHT_DEVICE)?;
        only_v1(home, "blockIO.weightDevice.leafWeight")?;
        sheet.put(home, WEIGHT_DEVICE, "blkio.leaf_weight_device", format!("{name} {weight}"));
    }
    Ok(())
}

/// A rate of 0 takes the limit away, in both versions.
fn throttle(
    field: &str,
    device: &BlockIoThrottle,
    v1: &str,
    v2: &str,
    sheet: &mut Sheet<'_>,
) -> Result<(), CgroupError> {
    let home = sheet.block_home(field)?;
    let (name, rate) = (number(device.major, device.minor), device.rate);
    let (file, value) = match home.version {
        Version::V1 => (format!("blkio.throttle.{v1}_device"), format!("{name} {rate}")),
        Version::V2 if rate == 0 => ("io.max".to_owned(), format!("{name} {v2}=max")),
        Version::V2 => ("io.max".to_owned(), format!("{name} {v2}={rate}")),
    };
    sheet.put(home, field, file, value);
    Ok(())
}
