-- The roles of docs: who owns the tables, and as whom servers run. For `docker compose --profile fleet`, where the socket is the only way in.
CREATE ROLE ehr_owner LOGIN;
CREATE ROLE ehr LOGIN;
CREATE DATABASE ehr OWNER ehr_owner ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0;
