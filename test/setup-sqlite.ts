// The server of the PostgreSQL suites, which may run at the same time.
delete process.env['TEST_POSTGRES'];
