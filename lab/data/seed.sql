-- Run once as superuser in the new application database, before it takes its first connection: so every base backup has it.
CREATE EXTENSION postgis;
SET ROLE tomoda;

CREATE TABLE users (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email      text NOT NULL UNIQUE,
    name       text NOT NULL,
    location   geometry(Point, 4326) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

SELECT setseed(0.42);  -- the same people at each reset
INSERT INTO users (email, name, location, created_at)
SELECT 'user' || n || '@example.org',
       'User ' || n,
       ST_SetSRID(ST_MakePoint(139.5 + random() * 0.5, 35.5 + random() * 0.4), 4326),
       now() - (100001 - n) * interval '5 minutes'
FROM generate_series(1, 100000) AS n;
CREATE INDEX users_location ON users USING gist (location);

CREATE TABLE jobs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    worker      text NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz
);

RESET ROLE;
ANALYZE;
