import { ApplicationFailure } from '@temporalio/common';
import { activityInfo, CompleteAsyncError, Context, heartbeat } from '@temporalio/activity';

/** Task tokens and "I have started" notices that activities leave for the tests, by workflow id; a standalone one's by its own. */
export class Notices {
  private readonly waiting = new Map<string, { token: Promise<Uint8Array>; tell: (token: Uint8Array) => void }>();

  of(id: string) {
    let entry = this.waiting.get(id);
    if (entry === undefined) {
      let tell!: (token: Uint8Array) => void;
      const token = new Promise<Uint8Array>((resolve) => (tell = resolve));
      entry = { token, tell };
      this.waiting.set(id, entry);
    }
    return entry;
  }
}

export const notices = new Notices();

function tellStarted() {
  const info = activityInfo();
  notices.of(info.workflowExecution?.workflowId ?? info.activityId).tell(info.taskToken);
}

export async function echo<T>(value: T): Promise<T> {
  return value;
}

/** Heartbeats and fails on the attempts before `attempt`, then returns what the heartbeat kept. */
export async function failUntil(attempt: number): Promise<unknown> {
  const info = activityInfo();
  if (info.attempt < attempt) {
    heartbeat({ reached: info.attempt });
    throw ApplicationFailure.create({ message: `attempt ${info.attempt}`, type: 'NotYet' });
  }
  return info.heartbeatDetails;
}

export async function failFinally(): Promise<void> {
  throw ApplicationFailure.nonRetryable('final', 'Final', 'detail');
}

export async function failLater(): Promise<string> {
  if (activityInfo().attempt === 1) {
    throw ApplicationFailure.create({ message: 'later', nextRetryDelay: '50ms' });
  }
  return 'done';
}

export async function hang(): Promise<void> {
  await Context.current().cancelled;
}

export async function hangAfterHeartbeat(): Promise<unknown> {
  if (activityInfo().attempt > 1) return activityInfo().heartbeatDetails;
  heartbeat('alive');
  await Context.current().cancelled;
}

export async function beatUntilCancelled(): Promise<void> {
  const beating = setInterval(() => heartbeat(), 50);
  try {
    tellStarted();
    await Context.current().cancelled;
  } finally {
    clearInterval(beating);
  }
}

export async function handOutToken(): Promise<string> {
  tellStarted();
  throw new CompleteAsyncError();
}
