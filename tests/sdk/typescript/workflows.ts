import {
  ActivityCancellationType,
  ApplicationFailure,
  CancellationScope,
  ParentClosePolicy,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  executeChild,
  getExternalWorkflowHandle,
  isCancellation,
  patched,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
  sleep,
  startChild,
  uuid4,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type * as activities from './activities';

export const put = defineSignal<[unknown]>('put');
export const stop = defineSignal('stop');
export const contents = defineQuery<unknown[]>('contents');
export const broken = defineQuery<void>('broken');

const HALF_MINUTE = { startToCloseTimeout: '30s' } as const;
const quick = { initialInterval: '50ms', backoffCoefficient: 1 } as const;
const calls = proxyActivities<typeof activities>({ ...HALF_MINUTE, heartbeatTimeout: '20s', retry: quick });

/** Collects signals until `stop` or until there are `wanted`. */
export async function mailbox(wanted = -1): Promise<unknown[]> {
  const received: unknown[] = [];
  let stopped = false;
  setHandler(put, (value) => void received.push(value));
  setHandler(stop, () => void (stopped = true));
  setHandler(contents, () => received);
  setHandler(broken, () => {
    throw new Error('query refuses');
  });
  await condition(() => stopped || received.length === wanted);
  return received;
}

export async function activityResults(): Promise<unknown[]> {
  const values = [1, 'two', null, { three: [3, 3.5] }];
  const seen: unknown[] = [];
  for (const value of values) seen.push(await calls.echo(value));
  seen.push(await calls.failUntil(3));
  seen.push(await calls.failLater());
  return seen;
}

export async function activityFails(): Promise<void> {
  await calls.failFinally();
}

export async function activityTimesOut(how: 'start-to-close' | 'heartbeat' | 'schedule-to-start'): Promise<unknown> {
  const once = { maximumAttempts: 1 };
  switch (how) {
    case 'start-to-close':
      return await proxyActivities<typeof activities>({ startToCloseTimeout: '500ms', retry: once }).hang();
    case 'schedule-to-start':
      return await proxyActivities<typeof activities>({
        ...HALF_MINUTE,
        scheduleToStartTimeout: '300ms',
        taskQueue: 'nobody-polls-this',
      }).hang();
    case 'heartbeat':
      return await proxyActivities<typeof activities>({
        ...HALF_MINUTE,
        heartbeatTimeout: '1s',
        retry: quick,
      }).hangAfterHeartbeat();
  }
}

export async function activityByHand(): Promise<string> {
  return await proxyActivities<typeof activities>({ ...HALF_MINUTE, activityId: 'by-hand' }).handOutToken();
}

export async function activityCancelled(): Promise<string> {
  const patient = proxyActivities<typeof activities>({
    ...HALF_MINUTE,
    heartbeatTimeout: '20s',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  });
  let told = false;
  setHandler(stop, () => void (told = true));
  const scope = new CancellationScope();
  const running = scope.run(() => patient.beatUntilCancelled());
  await condition(() => told);
  scope.cancel();
  try {
    await running;
    return 'finished';
  } catch (error) {
    return isCancellation(error) ? 'cancelled' : 'failed';
  }
}

export async function timers(): Promise<string[]> {
  const seen: string[] = [];
  let hurried = false;
  setHandler(stop, () => void (hurried = true));
  await sleep('100ms');
  seen.push('fired');
  if (await condition(() => hurried, '1h')) seen.push('signalled');
  if (!(await condition(() => false, '50ms'))) seen.push('timed out');
  return seen;
}

export async function sleeper(then: 'raise' | 'clean up' | 'carry on'): Promise<string> {
  try {
    await sleep('1h');
    return 'slept';
  } catch (error) {
    if (then === 'carry on') return 'carried on';
    if (then === 'clean up') await CancellationScope.nonCancellable(() => calls.echo('cleaning'));
    throw error;
  }
}

export async function locals(): Promise<unknown[]> {
  const local = proxyLocalActivities<typeof activities>({
    ...HALF_MINUTE,
    retry: { initialInterval: '10ms', maximumAttempts: 3 },
    localRetryThreshold: '1s',
  });
  const seen: unknown[] = [await local.echo('local')];
  try {
    await local.failFinally();
  } catch (error) {
    seen.push((error as Error).message);
  }
  seen.push(await local.failLater());
  return seen;
}

export async function counter(number: number, goal: number): Promise<unknown> {
  if (number < goal) await continueAsNew<typeof counter>(number + 1, goal);
  return { number, memo: workflowInfo().memo };
}

export async function failing(succeedOn: number): Promise<string> {
  const { attempt } = workflowInfo();
  if (attempt >= succeedOn) return `attempt ${attempt}`;
  throw ApplicationFailure.create({
    message: `attempt ${attempt}`,
    type: 'NotYet',
    cause: new Error('the cause'),
  });
}

export async function periodic(): Promise<number> {
  const last = workflowInfo().lastResult as number | undefined;
  if (last === undefined) return 1;
  await sleep('1h');
  return last + 1;
}

export async function upserts(): Promise<unknown> {
  let told = false;
  setHandler(stop, () => void (told = true));
  upsertSearchAttributes({ SuiteKeyword: ['new'], SuiteInt: [7] });
  upsertMemo({ added: [1, 2], removed: null });
  await condition(() => told);
  return workflowInfo().memo;
}

/** Random values must be the same in each replay. */
export async function sideEffects(): Promise<boolean> {
  const before = [Math.random(), uuid4(), Date.now()];
  const kept = await calls.echo(before);
  const after = Math.random();
  return JSON.stringify(kept) === JSON.stringify(before) && (await calls.echo(after)) === after;
}

export async function changing(): Promise<string> {
  let told = false;
  setHandler(stop, () => void (told = true));
  const changed = patched('my-change');
  await condition(() => told);
  return changed ? 'new' : 'old';
}

export const deposit = defineUpdate<number, [number]>('deposit');
export const depositLater = defineUpdate<number, [number]>('depositLater');

/** Adds up what updates bring until `stop` and the last update. */
export async function account(): Promise<number> {
  let balance = 0;
  let stopped = false;
  let open = 0;
  setHandler(stop, () => void (stopped = true));
  setHandler(
    deposit,
    (amount) => {
      if (amount === 0) throw ApplicationFailure.nonRetryable('nothing is no deposit');
      return (balance += amount);
    },
    {
      validator: (amount) => {
        if (amount < 0) throw new Error('no negative amounts');
      },
    }
  );
  setHandler(depositLater, async (amount) => {
    open += 1;
    await condition(() => stopped);
    open -= 1;
    return (balance += amount);
  });
  await condition(() => stopped && open === 0);
  return balance;
}

/** How four children end: a result, a failure, a taken id, a cancellation. */
export async function family(): Promise<string[]> {
  const { workflowId } = workflowInfo();
  const named = (name: string) => `${workflowId}.${name}`;
  const told = (error: unknown) => `${(error as Error).name}: ${(error as Error).cause}`;
  const seen = [await executeChild(childOf, { workflowId: named('well'), args: [1] })];
  seen.push(
    await executeChild(failing, { workflowId: named('fails'), args: [9] }).catch(
      (error: Error) => `${error.name}: ${(error.cause as Error).message}`
    )
  );
  const scope = new CancellationScope();
  const sleeping = await scope.run(() => startChild(sleeper, { workflowId: named('sleeps'), args: ['raise'] }));
  seen.push(
    await startChild(sleeper, { workflowId: named('sleeps'), args: ['raise'] }).then(
      () => 'started twice',
      (error: unknown) => (error instanceof WorkflowExecutionAlreadyStartedError ? 'taken' : told(error))
    )
  );
  scope.cancel();
  seen.push(
    await sleeping.result().then(
      () => 'finished',
      (error: unknown) => (isCancellation(error) ? 'cancelled' : told(error))
    )
  );
  return seen;
}

export async function childOf(number: number): Promise<string> {
  return `child ${number}`;
}

/** Completes while its child sleeps; returns the child's id. */
export async function leaving(parentClosePolicy: ParentClosePolicy): Promise<string> {
  const child = await startChild(sleeper, { args: ['raise'], parentClosePolicy });
  return child.workflowId;
}

/** Signals one workflow, cancels another and signals one that does not exist. */
export async function meddler(target: string, sleeper: string, nobody: string): Promise<string[]> {
  const seen: string[] = [];
  await getExternalWorkflowHandle(target).signal(put, 'from afar');
  seen.push('signalled');
  await getExternalWorkflowHandle(sleeper).cancel();
  seen.push('cancelled');
  await getExternalWorkflowHandle(nobody)
    .signal(put, 'lost')
    .catch((error: unknown) => seen.push((error as { type?: string }).type ?? String(error)));
  return seen;
}
