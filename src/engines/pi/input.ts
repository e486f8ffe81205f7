/**
 * What a pi session may be told at its creation: `create_session.input {"provider"?, "model"?, "thinkingLevel"?, "tools"?}`.
 * Whatever is left out is pi's own configuration (its `settings.json`, `models.json` and `auth.json`, the providers' keys
 * in the environment). The tools grep and find want `rg` and `fd` on the path: pi would fetch them from the network.
 */
import { z } from 'zod';

export const piInput = z
  .strictObject({
    provider: z.string().min(1).optional(),
    model: z.string().min(1).optional(),
    thinkingLevel: z.enum(['off', 'minimal', 'low', 'medium', 'high', 'xhigh']).optional(),
    tools: z.array(z.enum(['read', 'bash', 'edit', 'write', 'ls', 'grep', 'find'])).optional(),
  })
  .refine((input) => input.provider === undefined || input.model !== undefined, {
    path: ['model'],
    message: 'A provider alone names no model',
  })
  .nullable();

export type PiInput = z.output<typeof piInput>;
