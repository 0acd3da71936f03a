import seclude = require('seclude');

const child: seclude.Subprocess = seclude.spawn(['true'], { container: true });
void child.exited;
