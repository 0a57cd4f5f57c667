//! Generates the API types and stubs. No `protoc` and no copied `.proto` files: the public API comes
//! from the descriptor set that `temporalio-protos` publishes, our own files are parsed by protox
//! against it.

use std::{collections::HashSet, env, error::Error, fs, path::PathBuf};

use prost::Message;
use prost_types::FileDescriptorSet;
use protox::file::{ChainFileResolver, DescriptorSetFileResolver, IncludeFileResolver};

const OWN_PROTOS: &[&str] =
    &["perdure/admin/v1/admin.proto", "perdure/persistence/v1/records.proto", "perdure/token/v1/tokens.proto"];

/// Packages of the SDK's descriptor set that a server neither speaks nor stores.
const SKIPPED_PACKAGES: &[&str] = &["coresdk", "temporal.api.cloud", "temporal.api.testservice", "grpc.health"];

/// The two services that the frontend serves; their method names become [`rpcs.rs`].
const SERVED: &[(&str, &str)] =
    &[("temporal.api.workflowservice.v1", "WorkflowService"), ("temporal.api.operatorservice.v1", "OperatorService")];

/// Attributes of history events that are much larger than most. Unboxed, every event value would be as large as
/// the largest of them.
const LARGE_ATTRIBUTES: &[&str] = &[
    "workflow_execution_started_event_attributes",
    "workflow_execution_continued_as_new_event_attributes",
    "workflow_execution_update_rejected_event_attributes",
    "workflow_task_failed_event_attributes",
    "start_child_workflow_execution_initiated_event_attributes",
    "child_workflow_execution_failed_event_attributes",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let api_path = env::var("DEP_TEMPORALIO_PROTOS_DESCRIPTOR_PATH")?;
    println!("cargo:rerun-if-changed={api_path}");
    let mut api = FileDescriptorSet::decode(fs::read(&api_path)?.as_slice())?;
    api.file.retain(|file| !SKIPPED_PACKAGES.iter().any(|skip| file.package().starts_with(skip)));

    let mut resolver = ChainFileResolver::new();
    resolver.add(IncludeFileResolver::new(PathBuf::from("proto")));
    resolver.add(DescriptorSetFileResolver::new(api.clone()));
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    for file in OWN_PROTOS {
        compiler.open_file(file)?;
    }
    let own = compiler.file_descriptor_set();
    let known: HashSet<String> = api.file.iter().map(|file| file.name().to_owned()).collect();
    let mut all = api;
    all.file.extend(own.file.into_iter().filter(|file| !known.contains(file.name())));

    fs::write(out.join("descriptors.bin"), all.encode_to_vec())?;
    fs::write(out.join("rpcs.rs"), rpc_table(&all))?;
    // Comments of the public API are not repeated in generated code: they are published with it.
    for file in &mut all.file {
        file.source_code_info = None;
    }
    let mut generator = tonic_prost_build::configure();
    for attributes in LARGE_ATTRIBUTES {
        generator = generator.boxed(format!(".temporal.api.history.v1.HistoryEvent.attributes.{attributes}"));
    }
    generator
        .build_client(true)
        .build_server(true)
        .bytes(".")
        // Ordered maps: the same message always encodes to the same bytes.
        .btree_map(".")
        .include_file("mod.rs")
        .compile_fds(all)?;
    Ok(())
}

/// `pub const RPCS: &[(service, method)]`, so that tests can hold the documents against the API.
fn rpc_table(all: &FileDescriptorSet) -> String {
    let mut table = String::from("pub const RPCS: &[(&str, &str)] = &[\n");
    for (package, service_name) in SERVED {
        let services = all.file.iter().filter(|file| file.package() == *package).flat_map(|file| &file.service);
        for service in services.filter(|service| service.name() == *service_name) {
            for method in &service.method {
                table.push_str(&format!("    (\"{service_name}\", \"{}\"),\n", method.name()));
            }
        }
    }
    table.push_str("];\n");
    table
}
