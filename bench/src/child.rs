//! A server process of our own: started on a free port, killed by its handle.

use std::{
    fs::File,
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// How to start a development server.
#[derive(Debug, Clone)]
pub struct ServerCommand {
    /// The program.
    pub program: PathBuf,
    /// Arguments before `--port N`.
    pub arguments: Vec<String>,
}

impl ServerCommand {
    /// `program server start-dev --headless --ip 127.0.0.1`, which Temporal's command line and
    /// Perdure both understand.
    pub fn start_dev(program: impl Into<PathBuf>) -> Self {
        let arguments = ["server", "start-dev", "--headless", "--ip", "127.0.0.1"];
        Self { program: program.into(), arguments: arguments.iter().map(|text| (*text).to_owned()).collect() }
    }

    /// With further arguments.
    pub fn with<'a>(mut self, more: impl IntoIterator<Item = &'a str>) -> Self {
        self.arguments.extend(more.into_iter().map(str::to_owned));
        self
    }

    /// Starts it on `port`, appending what it prints to `log`.
    ///
    /// # Errors
    /// When the program cannot be started or the log cannot be written.
    pub fn start(&self, port: u16, log: &Path) -> io::Result<ChildServer> {
        let log = File::options().create(true).append(true).open(log)?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .args(["--port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.program.display())))?;
        Ok(ChildServer { child, port })
    }
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct ChildServer {
    child: Child,
    port: u16,
}

impl ChildServer {
    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// When it had exited by itself: then something else went wrong.
    pub fn kill(mut self) -> io::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            return Err(io::Error::other(format!("the server had exited by itself: {status}")));
        }
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Drop for ChildServer {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago on 127.0.0.1.
///
/// # Errors
/// When no port is free.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
