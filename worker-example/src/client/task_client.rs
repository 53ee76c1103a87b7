//! The client of a task queue: it submits tasks and finds them again.

use std::{error::Error, fmt, time::Duration};

use temporalio_client::{
    Client, NamespacedClient as _, WorkflowIdReusePolicy, WorkflowStartOptions,
    errors::WorkflowStartError,
    tonic::{Code, Status},
};

use temporalio_common::MemoValues;

use super::{
    MissingNamespace,
    chain::error_chain,
    connect::{Connected, connect},
    connect_error::ConnectError,
    error::ClientError,
    options::{ConnectOptions, SubmitOptions},
    owner::{MEMO, Owner},
    queue,
    target::Target,
    task::Task,
};
use crate::{
    store::Vault,
    task::{STEPS_TIME, SealedSecrets, TaskId, TaskInput, TaskRequest, TaskWorkflow},
};

/// A client of one namespace and one task queue. Prompts, credentials and answers are encrypted before they leave this
/// process.
///
/// ```no_run
/// use claude_tasks::{ConnectOptions, SubmitOptions, TaskClient, TaskEvent, TaskRequest};
/// use futures::{StreamExt as _, pin_mut};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let options = ConnectOptions::new("127.0.0.1:7233".parse()?).with_keyring("keys");
/// let client = TaskClient::connect(&options).await?;
/// let request = TaskRequest::from_json(br#"{"prompt": "Write a haiku", "anthropicApiKey": "sk-ant-1"}"#)?;
/// let task = client.submit(request, SubmitOptions::new()).await?;
/// let events = task.follow();
/// pin_mut!(events);
/// while let Some(event) = events.next().await {
///     match event? {
///         TaskEvent::Printed(json) => println!("{json}"),
///         TaskEvent::Ended(end) => println!("{:?}", end.kind()),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TaskClient {
    target: Target,
}

impl TaskClient {
    /// Connects to Temporal. Nothing is sent before the address is known to be safe for the credentials that go there.
    ///
    /// # Errors
    /// When Temporal is unreachable or refuses the caller, and when the key or a setting of the codec is wrong.
    pub async fn connect(options: &ConnectOptions) -> Result<Self, ConnectError> {
        let Connected {
            client,
            address,
            vault,
            signer,
        } = connect(options).await?;
        let task_queue = options.task_queue.clone();
        Ok(Self {
            target: Target {
                client,
                task_queue,
                address,
                vault,
                signer,
            },
        })
    }

    /// Submits a task.
    ///
    /// # Errors
    /// When the id is taken, the namespace does not exist, a required worker is missing, or Temporal refuses the task or
    /// does not answer.
    pub async fn submit(
        &self,
        request: TaskRequest,
        options: SubmitOptions,
    ) -> Result<Task, ClientError> {
        let id = options.task_id.unwrap_or_else(TaskId::random);
        if options.require_worker && !self.has_workers_for(&id).await? {
            return Err(ClientError::NoWorker(self.target.task_queue.clone()));
        }
        self.refuse_used(&id).await?;
        let time = options
            .queue_time
            .saturating_add(request.timeout())
            .saturating_add(STEPS_TIME);
        let start = WorkflowStartOptions::new(self.target.task_queue.clone(), id.to_string())
            // An id belongs to one task for ever: its log and its bill have this name.
            .id_reuse_policy(WorkflowIdReusePolicy::RejectDuplicate)
            .execution_timeout(time)
            .maybe_memo(options.owner.map(memo))
            .build();
        let mut input = TaskInput::new(request, &id);
        self.sign(&id, &mut input, time).await?;
        let sealed = self.seal(&id, &mut input).await?;
        let client = &self.target.client;
        let error = match client.start_workflow(TaskWorkflow, input, start).await {
            Ok(workflow) => return Ok(Task::new(id, self.target.clone(), workflow)),
            Err(error) => error,
        };
        if is_refusal(&error)
            && let Some(sealed) = &sealed
        {
            self.delete_unused(&id, sealed).await;
        }
        match error {
            WorkflowStartError::AlreadyStarted { .. } => Err(ClientError::Exists(id)),
            WorkflowStartError::Rpc(status) if is_too_large(&status) => {
                Err(ClientError::TooLarge(id))
            }
            error => Err(self.cannot_submit(&id, &error)),
        }
    }

    /// Deletes the secrets of a submission that Temporal has refused. The secrets of another submission stay.
    async fn delete_unused(&self, id: &TaskId, sealed: &SealedSecrets) {
        let Some(vault) = &self.target.vault else {
            return;
        };
        if let Err(error) = vault.delete_unused_secrets(id, sealed).await {
            // The sweep of a worker deletes them later.
            tracing::warn!(task = %id, %error, "cannot delete the secrets of a refused submission");
        }
    }

    /// Refuses the id of a task that Temporal has forgotten and whose log is still in the store. The log may belong to another
    /// caller.
    async fn refuse_used(&self, id: &TaskId) -> Result<(), ClientError> {
        let Some(vault) = &self.target.vault else {
            return Ok(());
        };
        match vault.has_session(id).await {
            Ok(false) => Ok(()),
            Ok(true) => Err(ClientError::Exists(id.clone())),
            Err(error) => Err(ClientError::Secrets {
                task: id.clone(),
                problem: error.to_string(),
            }),
        }
    }

    async fn sign(
        &self,
        id: &TaskId,
        input: &mut TaskInput,
        valid: Duration,
    ) -> Result<(), ClientError> {
        let Some(signer) = &self.target.signer else {
            return Ok(());
        };
        let namespace = self.target.client.namespace();
        let done = signer.sign(input, &namespace, valid).await;
        done.map_err(|error| ClientError::Signing {
            task: id.clone(),
            problem: error_chain(&error),
        })
    }

    /// Stores the secrets of a request as a sealed object, if there is a store. Only the object's name and hash travel in the
    /// input of the workflow. Returns them if there is a store.
    async fn seal(
        &self,
        id: &TaskId,
        input: &mut TaskInput,
    ) -> Result<Option<SealedSecrets>, ClientError> {
        let Some(vault) = &self.target.vault else {
            return Ok(None);
        };
        let failed = |problem: String| ClientError::Secrets {
            task: id.clone(),
            problem,
        };
        let secrets = input.take_secrets();
        let mut sealed = vault
            .put_secrets(id, &secrets)
            .await
            .map_err(|error| failed(error.to_string()))?;
        if sealed.is_none() {
            match self.task(id).status().await {
                Ok(_) => return Err(ClientError::Exists(id.clone())),
                Err(ClientError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
            sealed = vault
                .replace_secrets(id, &secrets)
                .await
                .map_err(|error| failed(error.to_string()))?;
        }
        let sealed = sealed.ok_or_else(|| {
            failed(
                "another submission with this id began less than two minutes ago. Wait, or choose another id"
                    .to_owned(),
            )
        })?;
        input.set_sealed(&sealed);
        Ok(Some(sealed))
    }

    /// Where secrets and logs are stored.
    pub(crate) fn vault(&self) -> Option<&Vault> {
        self.target.vault.as_ref()
    }

    /// A task that was submitted before. This sends nothing.
    #[must_use]
    pub fn task(&self, id: &TaskId) -> Task {
        let workflow = self.target.client.get_workflow_handle(id.to_string());
        Task::new(id.clone(), self.target.clone(), workflow)
    }

    /// Whether a worker polls the task queue. `None` if Temporal does not answer.
    pub async fn has_workers(&self) -> Option<bool> {
        queue::has_workers(&self.target.client, &self.target.task_queue)
            .await
            .ok()
    }

    /// The task queue.
    #[must_use]
    pub fn task_queue(&self) -> &str {
        &self.target.task_queue
    }

    /// The namespace.
    pub(crate) fn namespace(&self) -> String {
        self.target.client.namespace()
    }

    /// The error of a call about many tasks.
    pub(super) fn cannot_list(&self, error: &(dyn Error + 'static)) -> ClientError {
        match self.missing_namespace(error) {
            Some(missing) => missing.into(),
            None => ClientError::List {
                problem: error_chain(error),
            },
        }
    }

    /// The Temporal client, which encrypts and decrypts as this client does.
    #[must_use]
    pub fn temporal(&self) -> &Client {
        &self.target.client
    }

    /// The missing namespace, if that is the reason of an error.
    pub(crate) fn missing_namespace(
        &self,
        error: &(dyn Error + 'static),
    ) -> Option<MissingNamespace> {
        self.target.missing_namespace(error)
    }

    async fn has_workers_for(&self, id: &TaskId) -> Result<bool, ClientError> {
        queue::has_workers(&self.target.client, &self.target.task_queue)
            .await
            .map_err(|error| self.cannot_submit(id, &error))
    }

    fn cannot_submit(&self, id: &TaskId, error: &(dyn Error + 'static)) -> ClientError {
        match self.missing_namespace(error) {
            Some(missing) => missing.into(),
            None => ClientError::Submit {
                task: id.clone(),
                problem: error_chain(error),
            },
        }
    }
}

/// Whether Temporal has surely not started the workflow for this call.
fn is_refusal(error: &WorkflowStartError) -> bool {
    match error {
        WorkflowStartError::AlreadyStarted { .. } | WorkflowStartError::PayloadConversion(_) => {
            true
        }
        WorkflowStartError::Rpc(status) => matches!(
            status.code(),
            Code::InvalidArgument
                | Code::NotFound
                | Code::PermissionDenied
                | Code::Unauthenticated
                | Code::Unimplemented
        ),
        _ => false,
    }
}

/// Whether Temporal refuses a payload because of its size.
fn is_too_large(status: &Status) -> bool {
    status.code() == Code::InvalidArgument && status.message().contains("size exceeds limit")
}

/// The codec encrypts the values of a memo.
fn memo(owner: Owner) -> MemoValues {
    let mut memo = MemoValues::new();
    memo.insert(MEMO, owner);
    memo
}

impl fmt::Debug for TaskClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskClient")
            .field("address", &self.target.address)
            .field("task_queue", &self.target.task_queue)
            .finish_non_exhaustive()
    }
}
