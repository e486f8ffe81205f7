/** Says of every skipped test why it was skipped: a skip without a reason is a hole that nobody sees. */
import type { Reporter, TestCase } from 'vitest/node';

export default class ReportSkipped implements Reporter {
  onTestCaseResult(test: TestCase): void {
    const result = test.result();
    if (result.state === 'skipped') console.log(`skipped: ${test.fullName} (${result.note ?? 'no reason given'})`);
  }
}
