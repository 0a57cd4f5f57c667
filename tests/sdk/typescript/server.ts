import { ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { Connection } from '@temporalio/client';

const SEARCH_ATTRIBUTES = ['SuiteKeyword=Keyword', 'SuiteInt=Int', 'SuiteText=Text'];
const START_MS = 30_000;

async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => (address !== null && typeof address === 'object' ? resolve(address.port) : reject()));
    });
  });
}

/** The server under test: PERDURE_ADDRESS if it runs already, else PERDURE_BIN, else `temporal`. */
export class Server {
  private constructor(
    readonly address: string,
    private readonly process?: ChildProcess
  ) {}

  static async start(): Promise<Server> {
    const running = process.env.PERDURE_ADDRESS;
    if (running) return new Server(running);
    const port = await freePort();
    const flags = ['--headless', '--ip', '127.0.0.1', '--port', String(port), '--log-level', 'error'];
    const attributes = SEARCH_ATTRIBUTES.flatMap((attribute) => ['--search-attribute', attribute]);
    const child = spawn(process.env.PERDURE_BIN || 'temporal', ['server', 'start-dev', ...flags, ...attributes], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    child.once('error', (error) => {
      throw error;
    });
    return new Server(`127.0.0.1:${port}`, child);
  }

  /** Waits for the first successful call. */
  async connect(): Promise<Connection> {
    const deadline = Date.now() + START_MS;
    for (;;) {
      try {
        const connection = await Connection.connect({ address: this.address, connectTimeout: '1s' });
        await connection.workflowService.describeNamespace({ namespace: 'default' });
        return connection;
      } catch (error) {
        if (this.process != null && this.process.exitCode !== null) {
          throw new Error(`the server ended at start with code ${this.process.exitCode}`);
        }
        if (Date.now() > deadline) throw error;
      }
    }
  }

  async stop(): Promise<void> {
    const child = this.process;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }
}
