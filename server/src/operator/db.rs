//! `perdure db`: a database's schema, and whether it agrees with itself.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use perdure_persistence::SharedStore;
use perdure_persistence_sql::{SqliteOptions, SqliteSchema, SqliteStore};
use perdure_proto::admin::{self, check_database_response::Part};
use perdure_rpc::jobs::{CheckScope, Finding, FindingSink};
use perdure_runtime::SystemClock;
use perdure_worker::scavenger::Check;

use super::{
    client::{connect, refused},
    facts::Facts,
    flags::{CheckOptions, MigrateOptions},
    print,
};
use crate::{StartError, cluster, start_dev};

pub(super) async fn check(options: CheckOptions) -> Result<(), StartError> {
    let json = options.json;
    let summary = match (&options.db_filename, &options.address) {
        (Some(path), _) => check_file(path, &options).await?,
        (None, Some(address)) => check_server(address, &options).await?,
        (None, None) => return Err(StartError::Usage("name a database: --db-filename or --address".to_owned())),
    };
    let facts = Facts::default()
        .with("Runs", summary.runs)
        .with("Rows of lists", summary.rows)
        .with("Changing meanwhile", summary.unsettled)
        .with("Findings", summary.findings)
        .with("Repaired", summary.repaired)
        .with("Took", summary.took);
    print(&if json { facts.json().to_string() } else { facts.text() });
    match summary.findings - summary.repaired {
        0 => Ok(()),
        left => Err(StartError::Failed(format!("{left} findings are left"))),
    }
}

/// Checks a file from here.
async fn check_file(path: &Path, options: &CheckOptions) -> Result<admin::CheckSummary, StartError> {
    match schema(path).await? {
        SqliteSchema { found, known } if found < known => {
            let problem = format!(
                "it has schema version {found}, this release checks version {known}; run: perdure db migrate --db-filename {}",
                path.display()
            );
            return Err(StartError::Schema { path: path.to_owned(), problem });
        }
        SqliteSchema { .. } => {}
    }
    let store = open(path).await?;
    let shard_map = cluster::load(&store).await?.ok_or_else(|| StartError::Schema {
        path: path.to_owned(),
        problem: "no server was ever started on it; there is nothing to check".to_owned(),
    })?;
    let check = Check {
        store: Arc::clone(&store),
        shard_map: Arc::new(shard_map.shard_map),
        archetypes: Arc::default(),
        clock: Arc::new(SystemClock::new()),
        lists: true,
        mender: None,
        scope: CheckScope {
            namespace: None,
            histories: !options.without_histories,
            mend: false,
            rate: Some(options.rate).filter(|rate| *rate > 0),
        },
    };
    let summary = check.run(Box::new(Printer { json: options.json })).await;
    store.close().await;
    summary.map(Into::into).map_err(|error| StartError::Database { path: path.to_owned(), problem: error.to_string() })
}

/// Has a server check what it has.
async fn check_server(address: &str, options: &CheckOptions) -> Result<admin::CheckSummary, StartError> {
    let mut client = connect(address).await?;
    let request = admin::CheckDatabaseRequest {
        namespace: options.namespace.clone().unwrap_or_default(),
        without_histories: options.without_histories,
        repair: options.repair,
        rate: options.rate,
    };
    let refused = |status| refused(address, &status);
    let mut parts = client.check_database(request).await.map_err(refused)?.into_inner();
    while let Some(part) = parts.message().await.map_err(refused)? {
        match part.part {
            Some(Part::Finding(finding)) => print(&shown(&finding, options.json)),
            Some(Part::Summary(summary)) => return Ok(summary),
            None => {}
        }
    }
    Err(StartError::Server { address: address.to_owned(), problem: "it stopped before the check had ended".to_owned() })
}

pub(super) async fn migrate(options: &MigrateOptions) -> Result<(), StartError> {
    let path = &options.db_filename;
    let SqliteSchema { found, known } = schema(path).await?;
    let shown = path.display();
    if found == known {
        print(&format!("{shown} has schema version {known}, which is this release's: nothing to do"));
    } else if options.dry_run {
        print(&format!("{shown} has schema version {found}: it would be brought to version {known}"));
    } else {
        open(path).await?.close().await;
        print(&format!("{shown} was brought from schema version {found} to {known}"));
    }
    Ok(())
}

async fn schema(path: &Path) -> Result<SqliteSchema, StartError> {
    if !path.is_file() {
        return Err(StartError::Database { path: path.to_owned(), problem: "there is no such file".to_owned() });
    }
    SqliteStore::schema(SqliteOptions::file(path)).await.map_err(|error| start_dev::refused(path, &error))
}

async fn open(path: &Path) -> Result<SharedStore, StartError> {
    let store = SqliteStore::open(SqliteOptions::file(path)).await;
    Ok(Arc::new(store.map_err(|error| start_dev::refused(path, &error))?))
}

/// Prints findings as they come.
struct Printer {
    json: bool,
}

#[async_trait]
impl FindingSink for Printer {
    async fn found(&mut self, finding: Finding) {
        print(&shown(&finding.into(), self.json));
    }
}

/// A finding on a line.
fn shown(finding: &admin::Finding, json: bool) -> String {
    if json {
        return Facts::default()
            .with("Problem", finding.problem.as_str())
            .with("Text", finding.text.as_str())
            .with("Namespace id", finding.namespace_id.as_str())
            .with("Archetype", finding.archetype)
            .with("Id", finding.business_id.as_str())
            .with("Run id", finding.run_id.as_str())
            .with("Repaired", if finding.repaired { "yes" } else { "no" })
            .with("Failure", Some(finding.failure.as_str()).filter(|failure| !failure.is_empty()))
            .json()
            .to_string();
    }
    let about = if finding.run_id.is_empty() {
        "database".to_owned()
    } else {
        format!("{} run {} (namespace {})", finding.business_id, finding.run_id, finding.namespace_id)
    };
    let end = match (finding.repaired, finding.failure.as_str()) {
        (true, _) => "; repaired".to_owned(),
        (false, "") => String::new(),
        (false, failure) => format!("; not repaired: {failure}"),
    };
    format!("{}: {about}: {}{end}", finding.problem, finding.text)
}
