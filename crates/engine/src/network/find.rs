use super::{Error, Networks, Record, Result};

impl Networks {
    /// The network with this name or ID, or the only one whose ID begins so; in this order, as in Docker.
    pub fn find(&self, word: &str) -> Result<Record> {
        let state = self.state();
        let records = || state.networks.values().map(|network| &network.record);
        let exact = records()
            .find(|record| record.id == word)
            .or_else(|| records().find(|record| record.name == word));
        if let Some(record) = exact {
            return Ok(record.clone());
        }
        let matches: Vec<_> =
            records().filter(|record| !word.is_empty() && record.id.starts_with(word)).collect();
        match matches[..] {
            [] => Err(Error::NoSuchNetwork { word: word.into() }),
            [record] => Ok(record.clone()),
            _ => Err(Error::Ambiguous { word: word.into(), count: matches.len(), by: "ID prefix" }),
        }
    }
}
