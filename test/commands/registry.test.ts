import { z } from 'zod';
import { describe, expect, it } from 'vitest';
import { catalog } from '../../src/commands/catalog.ts';
import { createRegistry } from '../../src/commands/registry.ts';

describe('registry', () => {
  it('finds every command of the catalog by its type, and nothing else', () => {
    const registry = createRegistry(catalog);
    for (const command of catalog) expect(registry.get(command.type)).toBe(command);
    expect(registry.types).toEqual(catalog.map(({ type }) => type));
    for (const type of ['', 'constructor', '__proto__', 'toString', 'Ping']) expect(registry.get(type)).toBeUndefined();
  });

  it('refuses two commands of one type', () => {
    const [first] = catalog;
    expect(() => createRegistry([first!, first!])).toThrow("Two commands are called 'list_sessions'.");
  });
});

describe('contracts', () => {
  const rows = catalog.map(({ type, target, lane, scope, journalled, timeout, turn, idempotent }) => {
    const flags = [journalled && 'journalled', turn && 'turn', idempotent && 'idempotent'].filter(Boolean);
    return [type, target, lane, scope, timeout, ...flags].join(' ');
  });

  it('are these', () => {
    expect(rows).toEqual([
      'list_sessions server read observe short',
      'create_session opens work drive long journalled',
      'delete_session session control drive short journalled',
      'switch_session session read observe short',
      'attach_session session read observe short',
      'detach_session session control observe short',
      'subscribe server read observe short',
      'unsubscribe server read observe short',
      'health_check server read observe short',
      'get_startup_recovery server read observe short',
      'get_metrics server read observe short',
      'get_command_history server read observe short',
      'verify_journal server read operate long',
      'backup server control operate long journalled',
      'purge_session server control operate none journalled idempotent',
      'compact_journal server control operate long journalled',
      'apply_retention server control operate long journalled',
      'ping server read observe short',
      'prompt session work drive long journalled turn',
      'steer session control drive short journalled',
      'follow_up session control drive short journalled',
      'abort session control drive short journalled',
      'get_state session read observe short',
      'get_messages session read observe short',
      'get_last_assistant_text session read observe short',
      'get_session_events session read observe short',
      'get_session_stats session read observe short',
      'get_session_snapshot session read observe short',
      'set_session_name session work drive short journalled idempotent',
    ]);
  });

  it('have schemas that can be published', () => {
    for (const { schema } of catalog) {
      const published = z.toJSONSchema(schema) as { properties: Record<string, object> };
      expect(published.properties['id']).toMatchObject({ type: 'string', maxLength: 256 });
      expect(Object.values(published.properties).filter((property) => Object.keys(property).length === 0)).toEqual([]);
    }
  });
});
