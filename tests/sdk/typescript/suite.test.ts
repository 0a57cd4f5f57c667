import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ApplicationFailure,
  Client,
  QueryNotRegisteredError,
  QueryRejectedError,
  TimeoutFailure,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import * as activities from './activities';
import { client, connection, event, failure, idle, MAIN_QUEUE, PREFIX, start, worker, workflowBundle } from './harness';
import * as workflows from './workflows';

describe('the TypeScript SDK', { concurrency: true, timeout: 60_000 }, () => {
  it('runs activities with retries and heartbeats', async () => {
    const handle = await start('activities', workflows.activityResults, { args: [] });
    assert.deepEqual(await handle.result(), [1, 'two', null, { three: [3, 3.5] }, { reached: 2 }, 'done']);
  });

  it('reports an activity that fails for good', async () => {
    const handle = await start('activity-fails', workflows.activityFails, { args: [] });
    const error = await failure(handle.result());
    const cause = error.cause?.cause;
    assert.ok(cause instanceof ApplicationFailure);
    assert.equal(cause.type, 'Final');
    assert.deepEqual(cause.details, ['detail']);
  });

  for (const how of ['start-to-close', 'schedule-to-start'] as const) {
    it(`times an activity out: ${how}`, async () => {
      const handle = await start(`timeout-${how}`, workflows.activityTimesOut, { args: [how] });
      const error = await failure(handle.result());
      assert.ok(error.cause?.cause instanceof TimeoutFailure);
    });
  }

  it('retries after a missed heartbeat', async () => {
    const handle = await start('timeout-heartbeat', workflows.activityTimesOut, { args: ['heartbeat'] });
    assert.equal(await handle.result(), 'alive');
  });

  it('completes an activity by its token and by its id', async () => {
    const byToken = await start('by-token', workflows.activityByHand, { args: [] });
    await client.activity.complete(await activities.notices.of(byToken.workflowId).token, 'token');
    assert.equal(await byToken.result(), 'token');

    const byId = await start('by-id', workflows.activityByHand, { args: [] });
    await activities.notices.of(byId.workflowId).token;
    const target = { workflowId: byId.workflowId, runId: byId.firstExecutionRunId, activityId: 'by-hand' };
    await client.activity.heartbeat(target, 'working');
    await client.activity.complete(target, 'id');
    assert.equal(await byId.result(), 'id');
    await assert.rejects(client.activity.complete(target, 'twice'), { name: 'ActivityNotFoundError' });
  });

  it('cancels an activity and waits for it', async () => {
    const handle = await start('activity-cancelled', workflows.activityCancelled, { args: [] });
    await activities.notices.of(handle.workflowId).token;
    await handle.signal(workflows.stop);
    assert.equal(await handle.result(), 'cancelled');
  });

  it('fires timers and races them against signals', async () => {
    const handle = await start('timers', workflows.timers, { args: [] });
    await event(handle, 'timerStartedEventAttributes', 2);
    await handle.signal(workflows.stop);
    assert.deepEqual(await handle.result(), ['fired', 'signalled', 'timed out']);
  });

  it('delivers signals before, during and not after the run', async () => {
    const handle = await client.workflow.signalWithStart(workflows.mailbox, {
      taskQueue: MAIN_QUEUE,
      workflowId: `${PREFIX}.signals`,
      args: [3],
      signal: workflows.put,
      signalArgs: ['with start'],
    });
    await handle.signal(workflows.put, 2);
    await idle(handle);
    await handle.signal(workflows.put, { three: 3 });
    assert.deepEqual(await handle.result(), ['with start', 2, { three: 3 }]);
    await assert.rejects(handle.signal(workflows.put, 'late'), WorkflowNotFoundError);
  });

  it('answers queries on running and closed workflows', async () => {
    const handle = await start('queries', workflows.mailbox, { args: [] });
    assert.deepEqual(await handle.query(workflows.contents), []);
    await handle.signal(workflows.put, 1);
    assert.deepEqual(await handle.query(workflows.contents), [1]);
    await assert.rejects(handle.query(workflows.broken), /query refuses/);
    await assert.rejects(handle.query('nobody answers'), QueryNotRegisteredError);
    await handle.signal(workflows.stop);
    await handle.result();
    assert.deepEqual(await handle.query(workflows.contents), [1]);
    const strict = new Client({ connection, workflow: { queryRejectCondition: 'NOT_OPEN' } });
    await assert.rejects(strict.workflow.getHandle(handle.workflowId).query('contents'), QueryRejectedError);
  });

  for (const then of ['raise', 'clean up', 'carry on'] as const) {
    it(`cancels a workflow: ${then}`, async () => {
      const handle = await start(`cancel-${then.replace(' ', '-')}`, workflows.sleeper, { args: [then] });
      await idle(handle);
      await handle.cancel();
      if (then === 'carry on') {
        assert.equal(await handle.result(), 'carried on');
      } else {
        assert.equal((await failure(handle.result())).cause?.name, 'CancelledFailure');
      }
    });
  }

  it('terminates a workflow', async () => {
    const handle = await start('terminate', workflows.sleeper, { args: ['raise'] });
    await handle.terminate('enough');
    assert.equal((await failure(handle.result())).cause?.name, 'TerminatedFailure');
    assert.equal((await handle.describe()).status.name, 'TERMINATED');
  });

  it('ends a run at its time limit', async () => {
    const handle = await start('run-timeout', workflows.sleeper, { args: ['raise'], workflowRunTimeout: '1s' });
    assert.equal((await failure(handle.result())).cause?.name, 'TimeoutFailure');
  });

  it('runs local activities', async () => {
    const handle = await start('locals', workflows.locals, { args: [] });
    const [first, second, third] = await handle.result();
    assert.equal(first, 'local');
    assert.equal(typeof second, 'string');
    assert.equal(third, 'done');
  });

  it('continues as new and keeps the memo', async () => {
    const handle = await start('continue', workflows.counter, { args: [1, 3], memo: { color: 'red' } });
    assert.deepEqual(await handle.result(), { number: 3, memo: { color: 'red' } });
  });

  it('retries a failed workflow', async () => {
    const retry = { initialInterval: '50ms', maximumAttempts: 3 };
    const lucky = await start('retry', workflows.failing, { args: [2], retry });
    assert.equal(await lucky.result(), 'attempt 2');
    const unlucky = await start('no-retry', workflows.failing, { args: [9] });
    const error = await failure(unlucky.result());
    assert.ok(error.cause instanceof ApplicationFailure);
    assert.equal(error.cause.type, 'NotYet');
    assert.equal(error.cause.cause?.message, 'the cause');
  });

  it('repeats by cron and hands over the last result', async () => {
    const handle = await start('cron', workflows.periodic, { args: [], cronSchedule: '@every 1s' });
    await event(handle, 'workflowExecutionCompletedEventAttributes');
    const second = client.workflow.getHandle(handle.workflowId);
    // The second run sleeps, so a timer in its history says it got the result of the first.
    await event(second, 'timerStartedEventAttributes');
    await second.terminate();
  });

  it('keeps and changes memo and search attributes', async () => {
    const handle = await start('attributes', workflows.upserts, {
      args: [],
      memo: { kept: 1, removed: 2 },
      searchAttributes: { SuiteKeyword: ['old'], SuiteText: ['some text'] },
    });
    await idle(handle);
    const description = await handle.describe();
    assert.deepEqual(description.memo, { kept: 1, added: [1, 2] });
    assert.deepEqual(description.searchAttributes.SuiteKeyword, ['new']);
    assert.deepEqual(description.searchAttributes.SuiteInt, [7]);
    assert.deepEqual(description.searchAttributes.SuiteText, ['some text']);
    await handle.signal(workflows.stop);
    assert.deepEqual(await handle.result(), { kept: 1, added: [1, 2] });
  });

  it('honours workflow id policies', async () => {
    const first = await start('policies', workflows.mailbox, { args: [] });
    await assert.rejects(
      start('policies', workflows.mailbox, { args: [] }),
      WorkflowExecutionAlreadyStartedError
    );
    const same = await start('policies', workflows.mailbox, { args: [], workflowIdConflictPolicy: 'USE_EXISTING' });
    assert.equal(same.firstExecutionRunId, first.firstExecutionRunId);
    const other = await start('policies', workflows.mailbox, {
      args: [],
      workflowIdConflictPolicy: 'TERMINATE_EXISTING',
    });
    assert.notEqual(other.firstExecutionRunId, first.firstExecutionRunId);
    await other.terminate();
    await assert.rejects(
      start('policies', workflows.mailbox, { args: [], workflowIdReusePolicy: 'REJECT_DUPLICATE' }),
      WorkflowExecutionAlreadyStartedError
    );
  });

  it('replays side effects and patches on another worker, without a cache', async () => {
    const taskQueue = `${PREFIX}.uncached`;
    const first = await worker({ taskQueue, maxCachedWorkflows: 0 });
    const handles = await first.runUntil(async () => {
      const changing = await start('patched', workflows.changing, { args: [], taskQueue });
      const random = await start('side-effects', workflows.sideEffects, { args: [], taskQueue });
      assert.equal(await random.result(), true);
      await idle(changing);
      return { changing, random };
    });
    const second = await worker({ taskQueue, maxCachedWorkflows: 0 });
    await second.runUntil(async () => {
      await handles.changing.signal(workflows.stop);
      assert.equal(await handles.changing.result(), 'new');
    });
    for (const handle of [handles.changing, handles.random]) {
      await Worker.runReplayHistory({ workflowBundle }, await handle.fetchHistory(), handle.workflowId);
    }
  });

  it('reads a history of several pages', async () => {
    const count = 300;
    const taskQueue = `${PREFIX}.long`;
    const handle = await start('long', workflows.mailbox, { args: [count], taskQueue });
    for (let value = 0; value < count; value += 1) await handle.signal(workflows.put, value);
    const late = await worker({ taskQueue });
    const received = await late.runUntil(handle.result());
    assert.deepEqual(
      received,
      Array.from({ length: count }, (_, value) => value)
    );
    const history = await handle.fetchHistory();
    const ids = (history.events ?? []).map((event) => Number(event.eventId));
    assert.deepEqual(
      ids,
      ids.map((_, index) => index + 1)
    );
    assert.ok(ids.length > 256);
  });
});
