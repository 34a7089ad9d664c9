INSERT INTO entries (id, amount) VALUES (1, 1999);
