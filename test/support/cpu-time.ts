/** CPU time that this process has taken so far, ms. Unlike the clock it does not run while others have the machine, so a limit on it says something about our code. */
export function cpuNow(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
