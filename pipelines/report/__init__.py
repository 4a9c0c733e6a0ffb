"""What people look at: pages, pictures, the viewer."""
