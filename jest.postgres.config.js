const { postgres } = require('./tools/jest-projects.cjs');

/** Every suite that has a database, on PostgreSQL. */
module.exports = { ...require('./jest.config.js'), projects: [postgres] };
