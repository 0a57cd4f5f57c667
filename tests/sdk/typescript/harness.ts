import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before } from 'node:test';
import {
  Client,
  Connection,
  WorkflowFailedError,
  WorkflowHandle,
  WorkflowHandleWithFirstExecutionRunId,
  WorkflowStartOptions,
} from '@temporalio/client';
import {
  bundleWorkflowCode,
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
  WorkerOptions,
  WorkflowBundleWithSourceMap,
} from '@temporalio/worker';
import { Workflow } from '@temporalio/common';
import * as activities from './activities';
import { Server } from './server';

export const PREFIX = `sdk-ts-${randomBytes(4).toString('hex')}`;
export const MAIN_QUEUE = `${PREFIX}.main`;

let server: Server;
export let connection: Connection;
let native: NativeConnection;
export let client: Client;
export let workflowBundle: WorkflowBundleWithSourceMap;
let mainWorker: Promise<void>;
let stopMainWorker: () => void;

export async function worker(options: Partial<WorkerOptions> & { taskQueue: string }): Promise<Worker> {
  return await Worker.create({
    connection: native,
    workflowBundle,
    activities,
    maxHeartbeatThrottleInterval: '50ms',
    defaultHeartbeatThrottleInterval: '50ms',
    ...options,
  });
}

type Options<T extends Workflow> = Partial<WorkflowStartOptions<T>> & { args: Parameters<T> };

/** Starts a workflow on the worker that all tests share, under an id that names the test. */
export async function start<T extends Workflow>(id: string, workflow: T, options: Options<T>): Promise<WorkflowHandleWithFirstExecutionRunId<T>> {
  const given = { taskQueue: MAIN_QUEUE, workflowId: `${PREFIX}.${id}`, ...options };
  return await client.workflow.start(workflow, given as WorkflowStartOptions<T>);
}

/** Waits for the `count`th event whose type's name ends in `suffix`, by long polls. */
export async function event(handle: WorkflowHandle, attributes: string, count = 1): Promise<void> {
  let token: Uint8Array = new Uint8Array();
  let seen = 0;
  for (;;) {
    const page = await connection.workflowService.getWorkflowExecutionHistory({
      namespace: 'default',
      execution: { workflowId: handle.workflowId },
      waitNewEvent: true,
      nextPageToken: token,
    });
    seen += (page.history?.events ?? []).filter((event) => event[attributes as keyof typeof event] != null).length;
    if (seen >= count) return;
    token = page.nextPageToken;
    assert.ok(token?.length, `${handle.workflowId} closed before ${attributes} x${count}`);
  }
}

export const idle = (handle: WorkflowHandle, tasks = 1) => event(handle, 'workflowTaskCompletedEventAttributes', tasks);

export async function failure(call: Promise<unknown>): Promise<WorkflowFailedError> {
  const error = await call.then(
    (value) => assert.fail(`expected a failure, got ${JSON.stringify(value)}`),
    (error: unknown) => error
  );
  assert.ok(error instanceof WorkflowFailedError, String(error));
  return error;
}

/** Starts the server and the worker that all tests of a file share, and stops them after the last test. */
before(async () => {
  // Failures that the tests provoke would fill the screen.
  Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging: { filter: 'ERROR' } } });
  server = await Server.start();
  [connection, workflowBundle] = await Promise.all([
    server.connect(),
    bundleWorkflowCode({ workflowsPath: require.resolve('./workflows'), logger: new DefaultLogger('ERROR') }),
  ]);
  native = await NativeConnection.connect({ address: server.address });
  client = new Client({ connection });
  const main = await worker({ taskQueue: MAIN_QUEUE });
  mainWorker = main.run();
  stopMainWorker = () => main.shutdown();
});

after(async () => {
  if (stopMainWorker) {
    stopMainWorker();
    await mainWorker;
  }
  await native?.close();
  await connection?.close();
  await server?.stop();
});
