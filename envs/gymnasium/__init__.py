"""Makes a suite of any Gymnasium environments with box spaces."""
