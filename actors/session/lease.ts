/**
 * How long a session lives, as arithmetic on its lease: what counts as activity, when that puts the end off, and what is due
 * when. The chart of it is `machines/lease.ts`; times are absolute, and come in. Pure.
 */
import type { Entry } from '../entry.ts';
import { activityOf } from './event.ts';
import type { SessionEvent } from './event.ts';
import type { Lease, LeasePolicy } from './lease-policy.ts';

/** Of sessions whose journal does not say: what was the default when lifetimes began. Never to be changed. */
const INHERITED: LeasePolicy = {
  baseMs: 24 * 3_600_000,
  extensionMs: 6 * 3_600_000,
  extensionsMax: 4,
  thresholdMs: 3_600_000,
};

/** The lease of a session that is created at `at`. */
export function openLease(policy: LeasePolicy | undefined, at: number): Lease {
  return {
    policy: policy ?? INHERITED,
    deadlineAt: at + (policy ?? INHERITED).baseMs,
    extensions: 0,
    extendedAt: null,
    announced: false,
    inherited: policy === undefined,
  };
}

/**
 * The policy of a session for which its creator chose `ttlMs`: no extension is longer than the life that was asked for, and
 * only its second half is near the end. Else the first word to a session of two seconds would make six hours of them.
 */
export function policyFor(policy: LeasePolicy, ttlMs: number | undefined): LeasePolicy {
  if (ttlMs === undefined) return policy;
  return {
    baseMs: ttlMs,
    extensionMs: Math.min(policy.extensionMs, ttlMs),
    extensionsMax: policy.extensionsMax,
    thresholdMs: Math.min(policy.thresholdMs, Math.floor(ttlMs / 2)),
  };
}

/** Somebody works with the session, or its engine gets on. Looking at it is none, nor is what the server says by itself. */
export function isActivity(entry: Entry): boolean {
  switch (entry.kind) {
    case 'command.accepted':
      return entry.passive !== true && entry.mailbox !== 'read';
    case 'command.settled':
    case 'command.finished':
      return entry.success && entry.passive !== true;
    case 'session.event':
      return activityOf(entry.eventType) !== 'system';
    default:
      return false;
  }
}

/** What activity at `at` makes of the lease; undefined: nothing. */
export function extensionAt(lease: Lease, at: number): { deadlineAt: number; extensions: number } | undefined {
  const { policy, deadlineAt, extensions, extendedAt } = lease;
  if (at >= deadlineAt || deadlineAt - at > policy.thresholdMs || extensions >= policy.extensionsMax) return undefined;
  if (extendedAt !== null && at - extendedAt < policy.thresholdMs) return undefined;
  return { deadlineAt: deadlineAt + policy.extensionMs, extensions: extensions + 1 };
}

/** When something is to be done about the lease next: its end announced, or the session ended. */
export function dueAt({ policy, deadlineAt, announced }: Lease): number {
  return announced ? deadlineAt : deadlineAt - policy.thresholdMs;
}

/** The end of the session is near: told once per deadline. `final`: no activity puts it off any more. */
export function expiringEvent({ policy, deadlineAt, extensions }: Lease, now: number): SessionEvent {
  return {
    type: 'session_expiring',
    deadline: new Date(deadlineAt).toISOString(),
    remainingMs: Math.max(0, deadlineAt - now),
    extensions,
    extensionsMax: policy.extensionsMax,
    final: extensions >= policy.extensionsMax,
  };
}

/** The end was put off: a hint for countdowns, which is not journalled; `get_state` says the same. */
export function extendedEvent({ policy, deadlineAt, extensions }: Lease): SessionEvent {
  const { extensionsMax } = policy;
  return { type: 'session_extended', deadline: new Date(deadlineAt).toISOString(), extensions, extensionsMax };
}
