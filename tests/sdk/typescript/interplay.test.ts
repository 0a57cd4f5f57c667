import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ActivityExecutionFailedError,
  ApplicationFailure,
  WithStartWorkflowOperation,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateStage,
} from '@temporalio/client';
import * as activities from './activities';
import { client, connection, event, failure, idle, MAIN_QUEUE, PREFIX, start } from './harness';
import * as workflows from './workflows';

describe('updates', { concurrency: true, timeout: 60_000 }, () => {
  it('completes, accepts and rejects', async () => {
    const handle = await start('updates', workflows.account, { args: [] });
    assert.equal(await handle.executeUpdate(workflows.deposit, { args: [5] }), 5);
    const slow = await handle.startUpdate(workflows.depositLater, {
      args: [7],
      waitForStage: WorkflowUpdateStage.ACCEPTED,
    });
    await assert.rejects(handle.executeUpdate(workflows.deposit, { args: [-1] }), (error: unknown) => {
      assert.ok(error instanceof WorkflowUpdateFailedError);
      assert.match(String(error.cause?.message), /no negative amounts/);
      return true;
    });
    await assert.rejects(handle.executeUpdate(workflows.deposit, { args: [0] }), WorkflowUpdateFailedError);
    await handle.signal(workflows.stop);
    assert.equal(await slow.result(), 12);
    assert.equal(await handle.result(), 12);
    // The rejected update, unlike the one that failed after it was accepted, left nothing.
    const { events } = await handle.fetchHistory();
    const accepted = (events ?? []).filter((event) => event.workflowExecutionUpdateAcceptedEventAttributes != null);
    assert.equal(accepted.length, 3);
  });

  it('is the same update under the same id, also after the close', async () => {
    const handle = await start('update-twice', workflows.account, { args: [] });
    const once = { args: [3], updateId: 'once' } as const;
    assert.equal(await handle.executeUpdate(workflows.deposit, { ...once, args: [3] }), 3);
    assert.equal(await handle.executeUpdate(workflows.deposit, { ...once, args: [3] }), 3);
    await handle.signal(workflows.stop);
    assert.equal(await handle.result(), 3);
    assert.equal(await handle.getUpdateHandle('once').result(), 3);
    await assert.rejects(handle.executeUpdate(workflows.deposit, { args: [1] }), WorkflowNotFoundError);
  });

  it('starts the workflow that it updates, once', async () => {
    const operation = () =>
      new WithStartWorkflowOperation(workflows.account, {
        workflowId: `${PREFIX}.update-with-start`,
        taskQueue: MAIN_QUEUE,
        args: [],
        workflowIdConflictPolicy: 'USE_EXISTING',
      });
    const first = operation();
    const deposit = (amount: number, startWorkflowOperation: WithStartWorkflowOperation<typeof workflows.account>) =>
      client.workflow.executeUpdateWithStart(workflows.deposit, { args: [amount], startWorkflowOperation });
    assert.equal(await deposit(1, first), 1);
    assert.equal(await deposit(2, operation()), 3);
    const handle = await first.workflowHandle();
    await handle.signal(workflows.stop);
    assert.equal(await handle.result(), 3);
  });
});

describe('workflows and each other', { concurrency: true, timeout: 60_000 }, () => {
  it('hears how its children ended', async () => {
    const handle = await start('children', workflows.family, { args: [] });
    assert.deepEqual(await handle.result(), ['child 1', 'ChildWorkflowFailure: attempt 1', 'taken', 'cancelled']);
  });

  for (const [policy, status] of [
    ['ABANDON', 'RUNNING'],
    ['TERMINATE', 'TERMINATED'],
    ['REQUEST_CANCEL', 'CANCELLED'],
  ] as const) {
    it(`leaves a child by its policy: ${policy}`, async () => {
      const handle = await start(`leave-${policy}`, workflows.leaving, { args: [policy] });
      const child = client.workflow.getHandle(await handle.result());
      if (status === 'RUNNING') {
        assert.equal((await child.describe()).status.name, status);
        await child.terminate();
      }
      await failure(child.result());
      if (status !== 'RUNNING') assert.equal((await child.describe()).status.name, status);
    });
  }

  it('signals and cancels a workflow that is none of its own', async () => {
    const target = await start('target', workflows.mailbox, { args: [1] });
    const sleeper = await start('to-cancel', workflows.sleeper, { args: ['raise'] });
    await idle(sleeper);
    const nobody = `${PREFIX}.nobody`;
    const handle = await start('meddler', workflows.meddler, {
      args: [target.workflowId, sleeper.workflowId, nobody],
    });
    assert.deepEqual(await handle.result(), ['signalled', 'cancelled', 'ExternalWorkflowExecutionNotFound']);
    assert.deepEqual(await target.result(), ['from afar']);
    assert.equal((await failure(sleeper.result())).cause?.name, 'CancelledFailure');
  });

  it('goes back to an earlier workflow task and keeps signals', async () => {
    const handle = await start('reset', workflows.mailbox, { args: [3] });
    await idle(handle);
    await handle.signal(workflows.put, 1);
    await idle(handle, 2);
    await handle.signal(workflows.put, 2);
    await idle(handle, 3);
    const { runId } = await connection.workflowService.resetWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId: handle.workflowId },
      reason: 'try again',
      workflowTaskFinishEventId: { low: 4, high: 0, unsigned: false } as never,
      requestId: 'reset',
    });
    const again = client.workflow.getHandle(handle.workflowId, runId);
    await again.signal(workflows.put, 3);
    assert.deepEqual(await again.result(), [1, 2, 3]);
    const first = client.workflow.getHandle(handle.workflowId, handle.firstExecutionRunId);
    assert.equal((await first.describe()).status.name, 'TERMINATED');
  });

  it('is gone when it was deleted', async () => {
    const handle = await start('deleted', workflows.mailbox, { args: [] });
    await idle(handle);
    await connection.workflowService.deleteWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId: handle.workflowId },
    });
    for (;;) {
      const gone = await handle.describe().then(
        () => false,
        (error: unknown) => error instanceof WorkflowNotFoundError
      );
      if (gone) break;
    }
  });
});

describe('standalone activities', { concurrency: true, timeout: 60_000 }, () => {
  const options = (id: string) => ({ id: `${PREFIX}.${id}`, taskQueue: MAIN_QUEUE, startToCloseTimeout: '30s' }) as const;
  const quick = { initialInterval: '50ms', backoffCoefficient: 1 } as const;

  it('returns results, with retries and heartbeats on the way', async () => {
    const calls = client.activity.typed<typeof activities>();
    assert.deepEqual(await calls.execute('echo', { ...options('echo'), args: [{ deep: [1] }] }), { deep: [1] });
    assert.deepEqual(await calls.execute('failUntil', { ...options('retried'), args: [3], retry: quick }), { reached: 2 });
  });

  it('fails for good', async () => {
    const handle = await client.activity.start('failFinally', options('fails'));
    const error = await handle.result().then(
      () => assert.fail('expected a failure'),
      (error: unknown) => error
    );
    assert.ok(error instanceof ActivityExecutionFailedError);
    assert.ok(error.cause instanceof ApplicationFailure);
    assert.equal(error.cause.type, 'Final');
    assert.equal((await handle.describe()).status, 'FAILED');
  });

  it('hears of a cancellation', async () => {
    const handle = await client.activity.start('beatUntilCancelled', { ...options('cancelled'), heartbeatTimeout: '20s' });
    await activities.notices.of(handle.activityId).token;
    await handle.cancel('enough');
    await assert.rejects(handle.result());
    assert.equal((await handle.describe()).status, 'CANCELED');
  });

  it('is terminated', async () => {
    const handle = await client.activity.start('hang', options('terminated'));
    await handle.terminate('enough');
    await assert.rejects(handle.result());
    assert.equal((await handle.describe()).status, 'TERMINATED');
  });
});
