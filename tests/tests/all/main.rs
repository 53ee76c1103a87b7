//! Every test against real servers, foreign libraries and the files of this repository, as one program: its parts share
//! their dependencies, so they are linked once.
//!
//! What needs a process of its own starts one: a PKCS#11 module keeps state in its process, so each of those tests runs
//! itself again as a child ([`integration_tests::softhsm`]).

mod audit_log;
mod aws_kms;
mod book;
mod browser;
mod conformance;
mod dependencies;
mod docker_files;
mod error_chains;
mod examples;
mod foreign_formats;
mod histories;
mod imports;
mod kubernetes;
mod monitoring;
mod other_sdks;
mod page;
mod pkcs11;
mod python_codec;
mod secured_clients;
mod soak;
mod tctl;
mod temporal_cli;
mod temporal_sdk;
mod threat_table;
mod tink;
mod tink_signing;
mod tink_verdicts;
mod vectors;
mod web_ui;
