"""What people look at: the marts, and the dashboard that is drawn from them."""
