// Says which suites ran on what, and closes with the plain line that continuous integration reads.
module.exports = class ClosingLine {
  /** @param projects for each project that a part of the run depends on: what it runs on, or null when that is missing here */
  constructor(_config, projects) {
    this.projects = projects;
  }

  onRunComplete(_contexts, results) {
    const suites = new Map();
    for (const { displayName } of results.testResults) suites.set(displayName?.name, (suites.get(displayName?.name) ?? 0) + 1);
    const lines = [...suites].map(
      ([name, count]) => `${name}: ${count} suites ran${this.projects[name] ? ` on ${this.projects[name]}` : ''}`,
    );
    for (const [name, place] of Object.entries(this.projects)) if (place === null) lines.push(`${name}: not found, its suites did not run`);

    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const skipped = results.numPendingTests + results.numTodoTests;
    lines.push(`${results.numPassedTests} passed, ${failed} failed, ${skipped} skipped`);
    process.stdout.write(`\n${lines.join('\n')}\n`);
  }
};
