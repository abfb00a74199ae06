"""Sets the simulator's options that a model file leaves open, as a run's manifest names them."""

SETTINGS = {
    "contacts_per_world": 64,  # places; worlds of a task share them all
    "constraint_rows_per_world": 256,  # places, in each world
    "boxes": "box_box",  # the routine for two boxes: MuJoCo's own, with up to 8 points, not the convex one
}
